//! Runs of a session.

/// By what they get to.
pub(super) fn session() -> Vec<(&'static str, Vec<u8>)> {
    // Some room for everything, no batches; then as many joins and pings as it likes.
    let roomy = [0b0101, 0, 7, 255, 0, 3, 3, 2, 0];
    let gathers = [0b1101, 3, 120, 0, 7, 255, 0, 3, 3, 2, 0];
    // Each step, and all that it comes to.
    let open: &[u8] = &[7, 0, 8, 0, 9, 0, 0, 0, 0, 0, 0];
    let text: &[u8] = &[0, 5, 0, 0];
    let request: &[u8] = &[2, 1, 0, 0];
    let again: &[u8] = &[2, 4, 2, 0];
    let join: &[u8] = &[3, 0, 0];
    let leave: &[u8] = &[4, 0, 0];
    let cut: &[u8] = &[6, 2, 0];
    let wake: &[u8] = &[5, 1, 0];
    let close: &[u8] = &[5, 0, 0];
    let say = |which: u8, id: u8, room: u8, number: u8, epoch: u8| {
        vec![9, which, id, room, number, epoch, 0]
    };
    let seconds = |count: u8| vec![15, 2, count * 4, 0, 0];
    let joined = say(7, 1, 0, 3, 1);
    let mut all = vec![
        ("open", [&roomy, open, text, request].concat()),
        (
            "queue",
            [&roomy, text, request, again, join, open, &joined].concat(),
        ),
        (
            "come-back",
            [
                &roomy,
                join,
                open,
                &joined,
                &say(15, 0, 0, 4, 1),
                cut,
                wake,
                open,
                &say(7, 2, 0, 6, 1),
                &say(14, 0, 0, 6, 1),
                &say(12, 0, 0, 6, 1),
            ]
            .concat(),
        ),
        (
            "patience",
            [&roomy, join, open, &say(5, 1, 0, 3, 0), leave, &seconds(1)].concat(),
        ),
        (
            "blocked",
            [
                &roomy,
                open,
                &[12, 10, 0],
                text,
                request,
                text,
                cut,
                wake,
                open,
            ]
            .concat(),
        ),
        (
            "batch",
            [&gathers, open, &[1, 1, 0, 0], request, &seconds(1), close].concat(),
        ),
        (
            "silent",
            [&roomy, open, &seconds(31), &seconds(16), wake].concat(),
        ),
        (
            "goodbye",
            [
                &roomy,
                open,
                &say(16, 0, 0, 1, 0),
                cut,
                &seconds(2),
                open,
                close,
            ]
            .concat(),
        ),
    ];
    all.push((
        "raw",
        [&roomy, open, &[11, 4, 0x88, 2, 3, 0xf4, 0]].concat(),
    ));
    all
}

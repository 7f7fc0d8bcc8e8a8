//! Runs of a session.

/// By what they get to.
pub(super) fn session() -> Vec<(&'static str, Vec<u8>)> {
    // Some room for everything, no batches; then as many joins and pings as it likes.
    let roomy = [0b0101, 0, 7, 255, 0, 3, 3, 2, 0, 0];
    let gathers = [0b1101, 3, 120, 0, 7, 255, 0, 3, 3, 2, 0, 0];
    // The same, asking for a session; in binary; and for credentials, too.
    let [resumes, binary, asks] = [1, 3, 9].map(|bits| [0b0101, 0, 7, 255, 0, 3, 3, 2, 0, bits]);
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
    let frame = |which: u8, id: u8, room: u8, count: u8| vec![17, which, id, room, count, 0, 0];
    all.extend([
        (
            "resume",
            [
                &resumes,
                join,
                open,
                &say(22, 1, 0, 0, 0),
                &say(6, 2, 0, 0, 0),
                &say(25, 0, 0, 1, 0),
                cut,
                wake,
                open,
                &say(20, 3, 0, 2, 0),
                &say(25, 0, 0, 2, 0),
                &say(6, 4, 0, 0, 0),
            ]
            .concat(),
        ),
        (
            "stale",
            [
                &resumes,
                open,
                &say(22, 1, 0, 0, 0),
                cut,
                wake,
                open,
                &say(23, 2, 0, 0, 0),
                &say(22, 3, 0, 0, 0),
            ]
            .concat(),
        ),
        (
            "binary",
            [
                &binary,
                join,
                &[7, 0, 8, 0],
                &frame(0, 0, 0, 0),
                &frame(4, 1, 0, 0),
                &frame(5, 2, 0, 19),
                &frame(6, 0, 0, 4),
                request,
                &frame(12, 3, 0, 0),
                &frame(2, 4, 0, 160),
                cut,
                wake,
                &[7, 0, 8, 0],
                &frame(3, 4, 0, 9),
                &frame(5, 5, 0, 23),
                &frame(7, 0, 0, 6),
                &frame(9, 0, 0, 23),
                &frame(8, 0, 0, 5),
                &frame(12, 0, 0, 64),
            ]
            .concat(),
        ),
        (
            "credentials",
            [
                &asks,
                &[16, 2, 0][..],
                open,
                cut,
                wake,
                &[16, 4, 0],
                &seconds(3),
                &[16, 1, 0],
                &seconds(5),
            ]
            .concat(),
        ),
    ]);
    all.push((
        "raw",
        [&roomy, open, &[11, 4, 0x88, 2, 3, 0xf4, 0]].concat(),
    ));
    all
}

//! What takes long is done elsewhere: in any order and after any time, and yet each client's messages keep theirs.

use roomwire_core::Config;
use roomwire_core::config::RateLimit;
use roomwire_core::server::{CloseCause, Event};
use roomwire_tests::{
    Ending, Opcode, Peer, Rng, Upgrade, World, compressed, deflated, masked, shards_of_tests,
};
use serde_json::{Value, json};

/// From here on messages are handed over.
const MIN_BYTES: usize = 4_096;

fn config() -> Config {
    let mut config = Config {
        rate_limit: RateLimit::off(),
        ..Config::default()
    };
    config.offload.min_bytes = MIN_BYTES;
    config.limits.max_message_bytes = 64 * 1024;
    config
}

/// A server whose driver has a pool.
fn pooled(config: Config, jobs: u32) -> World {
    let mut world = World::new(config);
    world.driver().set_pool(jobs);
    world
}

fn connect(world: &mut World) -> Peer {
    world.connect_as(&Upgrade {
        headers: "Sec-WebSocket-Extensions: permessage-deflate\r\n".to_owned(),
        ..Upgrade::default()
    })
}

fn said(number: usize, bytes: usize) -> String {
    let room = "tea";
    json!({"type": "room_message", "room": room, "data": [number, "x".repeat(bytes)]}).to_string()
}

fn plain(text: &str) -> Vec<u8> {
    masked(Opcode::Text, true, text.as_bytes())
}

fn packed(text: &str) -> Vec<u8> {
    compressed(Opcode::Text, true, &deflated(text.as_bytes()))
}

/// The numbers of what came from each client, in order.
fn heard(world: &mut World, ear: Peer, from: &[Peer]) -> Vec<Vec<u64>> {
    let ids: Vec<String> = from.iter().map(|&it| world.id(it).to_owned()).collect();
    let mut numbers = vec![Vec::new(); ids.len()];
    for message in world.all(ear) {
        if message["type"] == "room_message" {
            let at = ids.iter().position(|id| message["from"] == **id);
            let number = message["data"][0].as_u64().expect("a number");
            numbers[at.expect("one of them")].push(number);
        }
    }
    numbers
}

fn in_room(world: &mut World, count: usize) -> Vec<Peer> {
    let peers: Vec<Peer> = (0..count).map(|_| connect(world)).collect();
    for &peer in &peers {
        world.join(peer, "tea");
    }
    world.forget();
    peers
}

// covers A8-01
#[test]
fn without_a_pool_all_is_done_at_once() {
    let mut world = World::new(config());
    let peers = in_room(&mut world, 2);
    world.send_bytes(peers[0], &packed(&said(1, 20_000)));
    world.send_bytes(peers[0], &plain(&said(2, 20_000)));
    assert_eq!(heard(&mut world, peers[1], &peers), [vec![1, 2], vec![]]);
    assert_eq!(world.stats().jobs, 0);
}

// covers A8-01
#[test]
fn who_waits_for_a_job_holds_up_nobody_else() {
    let mut world = pooled(config(), 8);
    let peers = in_room(&mut world, 3);
    let (ada, bob, ear) = (peers[0], peers[1], peers[2]);
    for frame in [
        packed(&said(1, 20_000)),
        plain(&said(2, 5)),
        plain(&said(3, 20_000)),
    ] {
        world.post(ada, &frame);
    }
    world.settle();
    assert_eq!(world.driver().jobs().len(), 1, "one of a client at a time");
    let connection = world.connection(ada);
    assert_eq!(world.driver().jobs()[0].connection(), connection);
    assert!(
        world.driver().pipe(connection).is_paused(),
        "it is not read meanwhile"
    );

    world.send_bytes(bob, &plain(&said(1, 5)));
    assert_eq!(heard(&mut world, ear, &peers), [vec![], vec![1], vec![]]);
    world.driver().run_job(0);
    world.settle();
    assert_eq!(heard(&mut world, ear, &peers), [vec![1, 2], vec![], vec![]]);
    world.driver().run_job(0);
    world.settle();
    assert_eq!(heard(&mut world, ear, &peers), [vec![3], vec![], vec![]]);
    assert!(!world.driver().pipe(connection).is_paused());
    let stats = world.stats();
    assert_eq!((stats.jobs, stats.stale, stats.failed_jobs), (2, 0, 0));
    assert_eq!(
        (stats.inflated, stats.inflated_to_bytes),
        (1, said(1, 20_000).len() as u64)
    );
}

/// A job that comes up when there is nothing else to do for anybody goes out at once.
// covers A8-01
#[test]
fn a_job_waits_for_nobody_elses_news() {
    let mut world = pooled(config(), 8);
    let peer = in_room(&mut world, 1)[0];
    for number in 0..3 {
        world.post(peer, &plain(&said(number, 20_000)));
    }
    for left in [1, 1, 1, 0] {
        world.settle();
        assert_eq!(world.driver().jobs().len(), left);
        if left > 0 {
            world.driver().run_job(0);
        }
    }
    assert_eq!(world.stats().received, 4);
}

/// One thing that a client may say: its frames, and which numbers the room hears.
fn saying(rng: &mut Rng, next: &mut usize) -> Vec<u8> {
    let mut text = |bytes| {
        *next += 1;
        said(*next, bytes)
    };
    match rng.below(6) {
        0 => plain(&text(5)),
        1 => packed(&text(5)),
        2 => plain(&text(6_000)),
        3 => packed(&text(40_000)),
        4 => {
            // Compressed to more than is dealt with at once.
            let noise: String = (0..6_000)
                .map(|_| char::from(b'a' + rng.below(26) as u8))
                .collect();
            let text = text(0).replace("\"\"", &format!("\"{noise}\""));
            packed(&text)
        }
        _ => {
            let sizes = [5, 6_000, 5, 5_000, 7];
            let parts: Vec<String> = sizes[..1 + rng.below(5)].iter().map(|&b| text(b)).collect();
            plain(&format!(
                r#"{{"type":"batch","messages":[{}]}}"#,
                parts.join(",")
            ))
        }
    }
}

// covers A8-01: in any order, after any delay, with any cuts of the input
#[test]
fn each_clients_messages_keep_their_order() {
    let mut handed_over = 0;
    for seed in 0..60 {
        let mut rng = Rng::new(seed);
        let jobs = 1 + rng.below(4) as u32;
        let mut world = pooled(config(), jobs);
        let mut peers = in_room(&mut world, 5);
        let ear = peers.pop().expect("five");
        world.driver().set_chunk(1 + rng.below(20_000));
        let mut counts = vec![0; peers.len()];
        let mut numbers = vec![Vec::new(); peers.len()];
        for _ in 0..60 {
            match rng.below(3) {
                0 => {
                    let at = rng.below(peers.len());
                    let frame = saying(&mut rng, &mut counts[at]);
                    world.post(peers[at], &frame);
                }
                1 => world.settle(),
                _ => {
                    let out = world.driver().jobs().len();
                    assert!(
                        out <= (jobs * u32::from(shards_of_tests())) as usize,
                        "seed {seed}"
                    );
                    if out > 0 {
                        world.driver().run_job(rng.below(out));
                    }
                }
            }
        }
        loop {
            world.settle();
            let out = world.driver().jobs().len();
            if out == 0 {
                break;
            }
            world.driver().run_job(rng.below(out));
        }
        for (all, some) in numbers.iter_mut().zip(heard(&mut world, ear, &peers)) {
            all.extend(some);
        }
        for (count, numbers) in counts.iter().zip(&numbers) {
            let expected: Vec<u64> = (1..=*count as u64).collect();
            assert_eq!(numbers, &expected, "seed {seed}");
        }
        for &peer in peers.iter().chain([&ear]) {
            world.close(peer);
        }
        world.advance_ms(60_000);
        let stats = world.stats();
        handed_over += stats.jobs;
        assert_eq!(
            (stats.buffered_bytes, stats.stale, stats.refused),
            (0, 0, 0),
            "seed {seed}"
        );
    }
    assert!(handed_over > 500, "{handed_over} of them");
}

// covers A8-01: bounded
#[test]
fn no_more_jobs_are_out_than_there_may_be() {
    let mut world = World::alone(config());
    world.driver().set_pool(2);
    let peers = in_room(&mut world, 5);
    for &peer in &peers {
        world.send_bytes(peer, &plain(&said(1, 20_000)));
    }
    let connections: Vec<_> = peers.iter().map(|&peer| world.connection(peer)).collect();
    let mut order = Vec::new();
    while let Some(job) = world.driver().jobs().first() {
        order.push(job.connection());
        assert_eq!(world.driver().jobs().len(), 2.min(6 - order.len()));
        world.driver().run_job(0);
        world.settle();
    }
    assert_eq!(order, connections, "who comes first has its turn first");
}

// covers A8-01: what a message may come to counts before it is there
#[test]
fn memory_is_kept_for_what_is_inflated() {
    let mut config = config();
    config.limits.max_queued_bytes = 128 * 1024;
    config.limits.max_buffered_bytes = 128 * 1024 + 3 * 64 * 1024;
    let most = config.limits.max_buffered_bytes;
    let mut world = World::alone(config);
    world.driver().set_pool(100);
    let peers = in_room(&mut world, 20);
    for &peer in &peers {
        world.send_bytes(peer, &packed(&said(1, 60_000)));
        assert!(world.stats().buffered_bytes <= most);
    }
    let out = world.driver().jobs().len();
    assert!((2..=5).contains(&out), "{out} are out");
    while !world.driver().jobs().is_empty() {
        world.driver().run_job(0);
        world.settle();
        assert!(world.stats().buffered_bytes <= most);
    }
    let last = *peers.last().expect("twenty");
    assert_eq!(heard(&mut world, last, &peers).concat().len(), 19);
    assert_eq!(world.stats().over_budget, 0);
}

// covers A8-01
#[test]
fn a_job_whose_client_has_gone_is_nothing() {
    for finishes in [false, true] {
        let mut world = pooled(config(), 1);
        let peers = in_room(&mut world, 2);
        world.send_bytes(peers[0], &packed(&said(1, 20_000)));
        assert!(world.stats().buffered_bytes > 0);
        if finishes {
            world.finish(peers[0]);
        }
        world.reset(peers[0]);
        let next = connect(&mut world);
        world.join(next, "tea");
        let stale = world.stats().stale;
        world.driver().run_job(0);
        world.settle();
        let stats = world.stats();
        assert_eq!((stats.stale, stats.buffered_bytes), (stale + 1, 0));
        assert!(heard(&mut world, peers[1], &peers).concat().is_empty());
        // Whoever has its place is not held up.
        world.send_bytes(next, &plain(&said(7, 5)));
        assert_eq!(heard(&mut world, peers[1], &[next]), [vec![7]]);
    }
}

#[test]
fn a_job_that_waits_goes_with_its_client() {
    let mut world = World::alone(config());
    world.driver().set_pool(1);
    let peers = in_room(&mut world, 3);
    for &peer in &peers {
        world.send_bytes(peer, &plain(&said(1, 20_000)));
    }
    world.reset(peers[1]);
    world.driver().run_job(0);
    world.settle();
    let left: Vec<_> = world
        .driver()
        .jobs()
        .iter()
        .map(|job| job.connection())
        .collect();
    assert_eq!(left, [world.connection(peers[2])]);
}

// covers A8-01: whoever is to do it panics
#[test]
fn a_failed_job_closes_its_connection_and_is_counted() {
    let mut world = pooled(config(), 4);
    let peers = in_room(&mut world, 2);
    world.send_bytes(peers[0], &packed(&said(1, 20_000)));
    world.driver().fail_job(0);
    world.settle();
    assert_eq!(
        world.close_frame(peers[0]).map(|(code, _)| code),
        Some(1011)
    );
    world.close(peers[0]);
    let causes: Vec<_> = (world.events().into_iter())
        .filter_map(|event| match event {
            Event::Closed { cause, code, .. } => Some((cause, code)),
            _ => None,
        })
        .collect();
    assert_eq!(causes, [(CloseCause::Failed, 1011)]);
    assert_eq!(world.stats().failed_jobs, 1);
    world.send_bytes(peers[1], &plain(&said(1, 5)));
    assert_eq!(world.stats().clients, 1);
}

// covers A8-01: what is wrong with a message is found there, too
#[test]
fn what_is_wrong_is_told_as_ever() {
    let corrupt = compressed(Opcode::Text, true, &[0xFF; 5_000]);
    let too_large = packed(&said(1, 70_000));
    let mut no_text = deflated(&[0xFF; 10_000]);
    let cases = [
        (corrupt, 1007),
        (too_large, 1009),
        (
            compressed(Opcode::Text, true, &core::mem::take(&mut no_text)),
            1007,
        ),
    ];
    for (frame, code) in cases {
        let mut world = pooled(config(), 1);
        let peers = in_room(&mut world, 1);
        world.send_bytes(peers[0], &frame);
        world.driver().run_job(0);
        world.settle();
        assert_eq!(
            world.close_frame(peers[0]).map(|(code, _)| code),
            Some(code)
        );
        assert_eq!(world.stats().inflate_refused, 1);
    }
    let mut world = pooled(config(), 1);
    let peers = in_room(&mut world, 1);
    let deep = format!(
        r#"{{"type":"ping","id":1,"x":{}1{}}}"#,
        "[".repeat(5_000),
        "]".repeat(5_000)
    );
    for (text, code) in [
        (format!("{{{}", " ".repeat(5_000)), "bad_json"),
        (deep, "bad_message"),
    ] {
        world.send_bytes(peers[0], &plain(&text));
        world.expect_nothing(peers[0]);
        world.driver().run_job(0);
        world.settle();
        assert_eq!(world.expect(peers[0], "error")["code"], code);
    }
}

// covers A8-01: the last message before the end of what a client sends
#[test]
fn what_came_before_the_end_is_still_said() {
    let mut world = pooled(config(), 1);
    let peers = in_room(&mut world, 2);
    world.send_bytes(peers[0], &packed(&said(1, 20_000)));
    world.finish(peers[0]);
    assert_eq!(world.ending(peers[0]), None);
    world.driver().run_job(0);
    world.settle();
    assert_eq!(heard(&mut world, peers[1], &peers[..1]), [vec![1]]);
    assert_eq!(world.ending(peers[0]), Some(Ending::Closed));
}

#[test]
fn a_long_wait_is_not_silence() {
    let mut world = pooled(config(), 1);
    let peers = in_room(&mut world, 2);
    world.send_bytes(peers[0], &packed(&said(1, 20_000)));
    world.advance_ms(600_000);
    assert_eq!(world.ending(peers[0]), None);
    world.driver().run_job(0);
    world.settle();
    assert_eq!(heard(&mut world, peers[1], &peers[..1]), [vec![1]]);
}

#[test]
fn an_echo_waits_as_well() {
    let mut config = config();
    config.listeners = vec![roomwire_core::config::ListenerConfig {
        echo: true,
        ..Default::default()
    }];
    let mut world = pooled(config, 1);
    let peer = world.knock(&Upgrade {
        path: "/echo",
        headers: "Sec-WebSocket-Extensions: permessage-deflate\r\n".to_owned(),
        ..Upgrade::default()
    });
    let text = "long ".repeat(4_000);
    world.post(peer, &packed(&text));
    world.post(peer, &plain("short"));
    world.settle();
    world.expect_nothing(peer);
    world.driver().run_job(0);
    world.settle();
    assert_eq!(world.next_text(peer).as_deref(), Some(&*text));
    assert_eq!(world.next_text(peer).as_deref(), Some("short"));
}

/// Without a pool any more, what waits is done at once.
#[test]
fn a_pool_may_go() {
    let mut world = World::alone(config());
    world.driver().set_pool(1);
    let peers = in_room(&mut world, 3);
    for &peer in &peers[..2] {
        world.send_bytes(peer, &packed(&said(1, 20_000)));
    }
    world.driver().set_pool(0);
    world.settle();
    assert_eq!(heard(&mut world, peers[2], &peers[..2]), [vec![], vec![1]]);
    world.driver().run_job(0);
    world.settle();
    assert_eq!(heard(&mut world, peers[2], &peers[..2]), [vec![1], vec![]]);
    assert_eq!(world.stats().inflated, 2);
}

// covers A8-01: the program has failed at a message
#[test]
fn a_program_that_fails_closes_the_client_it_failed_at() {
    let mut config = config();
    config.application_types = vec!["hash".to_owned()];
    let mut world = World::new(config);
    let peer = world.connect();
    world.send(peer, &json!({"type": "hash", "id": 1}));
    let request = world.events().into_iter().find_map(|event| match event {
        Event::Application { request, .. } => Some(request),
        _ => None,
    });
    let request = request.expect("it is told");
    world.command(roomwire_core::server::Command::Fail { request });
    assert_eq!(world.close_frame(peer).map(|(code, _)| code), Some(1011));
    let stale = world.stats().stale;
    world.command(roomwire_core::server::Command::Fail { request });
    let stats = world.stats();
    assert_eq!((stats.failed_jobs, stats.stale), (2, stale + 1));
    let closing: Vec<Value> = world.all(peer);
    assert_eq!(closing[0]["type"], "closing");
}

/// Who is closed as there is no room for what it has said says nothing more, though more of it has come.
#[test]
fn who_is_closed_for_want_of_room_leaves_no_job() {
    let mut config = config();
    config.limits.max_queued_bytes = 128 * 1024;
    config.limits.max_buffered_bytes = 128 * 1024 + 3 * 64 * 1024;
    let mut world = World::alone(config);
    world.driver().set_pool(1);
    let peers = in_room(&mut world, 6);
    for &peer in &peers[..5] {
        world.send_bytes(peer, &plain(&said(1, 60_000)));
    }
    assert_eq!(world.stats().over_budget, 0);
    let mut rng = Rng::new(1);
    let noise: String = (0..60_000)
        .map(|_| char::from(b'a' + rng.below(26) as u8))
        .collect();
    let bytes = [packed(&noise), packed(&said(2, 20_000))].concat();
    world.send_bytes(peers[5], &bytes);
    let stats = world.stats();
    assert_eq!((stats.over_budget, stats.jobs), (1, 6));
    world.reset(peers[5]);
    let next = connect(&mut world);
    world.join(next, "tea");
    while !world.driver().jobs().is_empty() {
        world.driver().run_job(0);
        world.settle();
    }
    world.forget();
    // Whoever has its place is heard.
    for number in 7..9 {
        world.send_bytes(next, &plain(&said(number, 20_000)));
        world.driver().run_job(0);
        world.settle();
    }
    assert_eq!(heard(&mut world, peers[0], &[next]), [vec![7, 8]]);
}

//! Handshakes that are slow, endless, broken off, or none at all.

use roomwire_tests::{Ending, Opcode, Rng, Upgrade, World, masked};

// covers A3-16, A3-18
#[test]
fn a_handshake_may_come_byte_by_byte() {
    let mut world = World::default();
    world.driver().set_chunk(1);
    let client = world.connect();
    world.join(client, "tea");
}

// covers A3-16
#[test]
fn a_byte_a_second_gains_no_time() {
    let mut world = World::default();
    let client = world.accept(&Upgrade::default());
    for byte in Upgrade::default().request().iter().take(10) {
        assert_eq!(world.client(client).status(), 0);
        world.send_bytes(client, &[*byte]);
        world.advance_ms(1_000);
    }
    assert_eq!(world.client(client).status(), 408);
    world.advance_ms(5_000);
    assert!(world.ending(client).is_some());
    world.assert_empty();
}

// covers A3-16
#[test]
fn an_endless_head_is_cut_off() {
    let endless: [&[u8]; 5] = [
        b"G",
        b"GET / HTTP/1.1\r\nX: ",
        b"GET /",
        b"\r\n",
        b"GET / HTTP/1.1\r\n",
    ];
    for start in endless {
        let mut world = World::default();
        let client = world.accept(&Upgrade::default());
        world.send_bytes(client, start);
        for _ in 0..100 {
            world.send_bytes(client, &[b'a'; 1_000]);
            assert!(world.stats().buffered_bytes < 64 * 1024);
        }
        let status = world.client(client).status();
        assert!([400, 431].contains(&status), "{status}");
        world.advance_ms(5_000);
        world.assert_empty();
    }
}

// covers A3-18
#[test]
fn what_is_not_http_is_refused() {
    let noise: [&[u8]; 5] = [
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03", // a TLS hello
        b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n",
        b"SSH-2.0-OpenSSH_9.6\r\n",
        b"\0\0\0\0",
        &[0xFF; 64],
    ];
    for bytes in noise {
        let mut world = World::default();
        let client = world.accept(&Upgrade::default());
        world.send_bytes(client, bytes);
        world.advance_ms(10_000);
        let status = world.client(client).status();
        assert!((400..=505).contains(&status), "{bytes:?}: {status}");
        world.advance_ms(5_000);
        world.assert_empty();
    }
}

// covers A3-19: whatever the moment, nothing stays behind
#[test]
fn a_handshake_may_break_off_at_any_byte() {
    let mut bytes = Upgrade::default().request();
    bytes.extend(masked(
        Opcode::Text,
        true,
        br#"{"type":"join","room":"tea"}"#,
    ));
    let mut world = World::default();
    for end in 0..=bytes.len() {
        for reset in [false, true] {
            let client = world.accept(&Upgrade::default());
            world.send_bytes(client, &bytes[..end]);
            if reset {
                world.reset(client);
            } else {
                world.finish(client);
            }
            assert!(world.ending(client).is_some(), "after {end} bytes");
            world.assert_empty();
        }
    }
}

// covers A3-16: a peer that takes no response cannot make the server keep many
#[test]
fn responses_that_nobody_takes_are_bounded() {
    let mut world = World::default();
    let client = world.accept(&Upgrade::default());
    world.dam(client);
    let requests = b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n".repeat(1_000);
    for _ in 0..100 {
        world.send_bytes(client, &requests);
        let held = world.stats().buffered_bytes;
        // The limit counts bytes, this counts capacity.
        assert!(held < 2 * 4 * 1024 * 1024, "{held}");
    }
    world.advance_ms(5_000);
    assert!(world.ending(client).is_some());
    world.assert_empty();
}

// covers A3-16: bodies are read and thrown away, never kept
#[test]
fn a_body_is_never_kept() {
    let mut world = World::default();
    let client = world.accept(&Upgrade::default());
    world.send_bytes(
        client,
        b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\n",
    );
    for _ in 0..65_536 / 1_024 {
        world.send_bytes(client, &[b'x'; 1_024]);
        assert_eq!(world.stats().buffered_bytes, 0);
    }
    world.send_bytes(client, b"GET /health HTTP/1.1\r\nHost: x\r\n\r\n");
    let all = world.client(client).response.clone().expect("responses");
    assert_eq!(all.matches("HTTP/1.1 ").count(), 2, "{all}");
}

// covers A3-16: a body that never comes does not hold the connection
#[test]
fn a_body_that_never_comes_ends_the_connection() {
    let mut world = World::default();
    let client = world.accept(&Upgrade::default());
    world.send_bytes(
        client,
        b"POST /health HTTP/1.1\r\nHost: x\r\nContent-Length: 65536\r\n\r\nx",
    );
    for _ in 0..40 {
        world.advance_ms(1_000);
        world.send_bytes(client, b"x");
    }
    assert!(world.ending(client).is_some());
    world.assert_empty();
}

// covers A3-16, A3-18
#[test]
fn noise_in_place_of_requests_never_stays() {
    let mut world = World::default();
    let good = Upgrade::default().request();
    for seed in 0..500 {
        let mut rng = Rng::new(seed);
        let mut bytes = good.repeat(1 + rng.below(3));
        for _ in 0..1 + rng.below(5) {
            let at = rng.below(bytes.len());
            match rng.below(3) {
                0 => bytes[at] = rng.next() as u8,
                1 => drop(bytes.remove(at)),
                _ => bytes.insert(at, b"\r\n :,\0"[rng.below(6)]),
            }
        }
        world.driver().set_chunk(1 + rng.below(200));
        let client = world.accept(&Upgrade::default());
        // Frames that follow by chance are the server's to refuse; the client does not read them.
        world.stall(client);
        world.send_bytes(client, &bytes);
        world.advance_ms(60);
        if world.ending(client).is_none() {
            world.reset(client);
        }
        assert!(world.ending(client).is_some_and(|e| e != Ending::Closed));
        world.assert_empty();
    }
}

//! `connect` in a terminal, driven as somebody would: by the program itself, on a terminal that `script` makes, against a
//! server that goes and comes back. Also `tap --reconnect`.
#![cfg(feature = "cli")]

use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::process::{Child, ChildStdin, Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::thread;
use std::time::{Duration, Instant};

use roomwire_core::config::RoomRule;
use roomwire_runtime::{ListenerSettings, Settings};
use roomwire_tests::tcp::PATIENCE;
use roomwire_tokio::Server;

const PROGRAM: &str = env!("CARGO_BIN_EXE_roomwire-tokio");

/// A server, and what cuts it off.
fn serve(address: impl Into<SocketAddr>) -> (SocketAddr, impl FnOnce()) {
    let mut settings = Settings {
        listeners: vec![ListenerSettings::at(address.into())],
        ..Settings::default()
    };
    settings.core.rooms.push(RoomRule {
        pattern: "kept".to_owned(),
        history_messages: 10,
        ..RoomRule::default()
    });
    let server = Server::bind_now(&settings).expect("a port");
    let address = server.local_addr().socket_addr().expect("TCP");
    let handle = server.handle();
    let thread = thread::spawn(|| server.run_blocking());
    let kill = move || {
        handle.abort_blocking();
        thread.join().expect("no panic").expect("an orderly end");
    };
    (address, kill)
}

/// A program, what it prints, and what is typed.
struct Session {
    child: Child,
    stdin: Option<ChildStdin>,
    lines: Receiver<String>,
    seen: String,
}

impl Session {
    /// On a terminal, with variables in front of the arguments.
    fn in_terminal(arguments: &str) -> Self {
        let mut command = Command::new("script");
        command.args(["-qefc", &format!("{arguments} 2>&1"), "/dev/null"]);
        Self::start(command)
    }

    fn start(mut command: Command) -> Self {
        let mut child = command
            .env_remove("NO_COLOR")
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .expect("script(1) is there");
        let stdin = child.stdin.take();
        let stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let (tell, lines) = channel();
        thread::spawn(move || {
            for line in stdout.lines().map_while(Result::ok) {
                let _ = tell.send(line);
            }
        });
        let seen = String::new();
        Self {
            child,
            stdin,
            lines,
            seen,
        }
    }

    fn type_line(&mut self, line: &str) {
        let stdin = self.stdin.as_mut().expect("stdin");
        stdin
            .write_all(format!("{line}\n").as_bytes())
            .expect("typed");
    }

    /// The next line that has this in it.
    fn expect(&mut self, part: &str) -> String {
        let end = Instant::now() + PATIENCE;
        loop {
            let left = end.saturating_duration_since(Instant::now());
            let Ok(line) = self.lines.recv_timeout(left) else {
                panic!("no {part:?} in:\n{}", self.seen);
            };
            self.seen.push_str(&line);
            self.seen.push('\n');
            if line.contains(part) {
                return line.trim_end().to_owned();
            }
        }
    }

    /// How it ended.
    fn end(mut self) -> (Option<i32>, String) {
        let end = Instant::now() + PATIENCE;
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("a state") {
                break status;
            }
            assert!(Instant::now() < end, "it does not end:\n{}", self.seen);
            thread::sleep(Duration::from_millis(5));
        };
        for line in self.lines.iter() {
            self.seen.push_str(&line);
            self.seen.push('\n');
        }
        (status.code(), std::mem::take(&mut self.seen))
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn id_in(line: &str) -> String {
    let at = line.find("client_").expect("an id");
    line[at..at + 31].to_owned()
}

#[test]
fn people_meet_and_outlast_the_server() {
    let (address, kill) = serve(([127, 0, 0, 1], 0));
    let command = format!("{PROGRAM} connect ws://{address}/ --room kept");
    let mut ada = Session::in_terminal(&command);
    let line = ada.expect("* connected to ws://");
    assert!(line.contains("\u{1b}[2m"), "in colours: {line:?}");
    ada.expect("* in kept, where there are 1");
    // Who sets NO_COLOR sees none.
    let mut bob = Session::in_terminal(&format!("NO_COLOR=1 {command}"));
    let bob_id = id_in(&bob.expect("* connected to ws://"));
    bob.expect("* in kept, where there are 2");
    ada.expect(&format!("* {} has come to kept", &bob_id[7..13]));
    ada.type_line("hello, \"you\"");
    let heard = bob.expect(": hello, \"you\"");
    assert!(!bob.seen.contains("\u{1b}["), "{:?}", bob.seen);
    let short = heard
        .split(' ')
        .nth(2)
        .expect("a name")
        .trim_end_matches(':');
    bob.type_line(&format!("/to {short} psst"));
    ada.expect("(to you)");
    bob.type_line("/members");
    bob.expect("* in kept there are 2:");
    bob.expect("this client");
    bob.type_line("/ping");
    bob.expect("* an answer after ");
    bob.type_line("/history 5");
    bob.expect(": hello, \"you\"");
    bob.type_line("/join tea");
    bob.expect("* in tea, where there are 1");
    bob.type_line("/leave");
    bob.expect("* left tea");
    bob.type_line("/me");
    bob.expect(": connected");
    bob.type_line("/dance");
    bob.expect("that /help shows");
    bob.type_line("said to nobody");
    bob.expect("! there is no room");
    bob.type_line("/room elsewhere");
    bob.type_line("said outside");
    bob.expect("! refused: no_such_room");
    // The server goes, and comes back at the same place.
    kill();
    ada.expect("trying again in");
    let (_, kill) = serve(address);
    ada.expect("* connected again to ws://");
    bob.expect("* connected again to ws://");
    ada.type_line("/join kept");
    bob.type_line("/room kept");
    bob.type_line("still here");
    ada.expect(": still here");
    // One leaves by an order, one by the end of the input.
    ada.type_line("/quit");
    let (code, seen) = ada.end();
    assert_eq!(code, Some(0), "{seen}");
    bob.type_line("\u{4}");
    let (code, seen) = bob.end();
    assert_eq!(code, Some(0), "{seen}");
    kill();
}

/// What is piped is JSON, and nothing else.
#[test]
fn other_programs_get_json() {
    let (address, kill) = serve(([127, 0, 0, 1], 0));
    let command = format!("{PROGRAM} connect ws://{address}/ --room tea");
    let mut ada = Session::in_terminal(&format!("sh -c '{command} 2>/dev/null | cat'"));
    ada.expect(r#"{"type":"welcome""#);
    ada.expect(r#"{"type":"joined_room""#);
    let mut bob = Session::in_terminal(&command);
    bob.expect("* in tea, where there are 2");
    bob.type_line("one");
    let line = ada.expect("room_message");
    let message: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        (&message["room"], &message["data"]),
        (&"tea".into(), &"one".into())
    );
    ada.type_line("/quit");
    let (code, seen) = ada.end();
    assert_eq!(code, Some(0), "{seen}");
    // But for what was typed, which a terminal shows, too.
    let others = seen
        .lines()
        .filter(|line| !line.trim().is_empty() && !line.starts_with('/'));
    for line in others {
        serde_json::from_str::<serde_json::Value>(line).expect(line);
    }
    kill();
}

#[test]
fn nobody_to_connect_to_is_exit_1() {
    let (address, kill) = serve(([127, 0, 0, 1], 0));
    kill();
    let session = Session::in_terminal(&format!("{PROGRAM} connect ws://{address}/"));
    let (code, seen) = session.end();
    assert_eq!(code, Some(1), "{seen}");
    assert!(seen.contains("is the server running"), "{seen}");
    let session = Session::in_terminal(&format!("{PROGRAM} connect ws://localhost/ä"));
    let (code, seen) = session.end();
    assert_eq!(code, Some(2), "{seen}");
}

#[test]
fn tap_comes_back_if_it_is_asked_to() {
    let (address, kill) = serve(([127, 0, 0, 1], 0));
    let url = format!("ws://{address}/");
    let mut command = Command::new("sh");
    let tap = format!("{PROGRAM} tap {url} --room kept --reconnect --json 2>&1");
    command.args(["-c", &format!("exec {tap}")]);
    let mut tap = Session::start(command);
    tap.expect(r#""type":"joined_room""#);
    let say = |text: &str| {
        let said = Command::new(PROGRAM)
            .args(["connect", &url, "--room", "kept", "--say", text])
            .stdout(Stdio::null())
            .status();
        assert!(said.expect("it runs").success());
    };
    say("one");
    let line = tap.expect(r#""type":"room_message""#);
    let line: serde_json::Value = serde_json::from_str(&line).expect("JSON");
    assert_eq!(
        (&line["direction"], &line["message"]["data"]),
        (&"in".into(), &"one".into())
    );
    kill();
    tap.expect("trying again in");
    let (_, kill) = serve(address);
    tap.expect("connected again");
    say("two");
    tap.expect(r#""data":"two""#);
    let signalled = Command::new("kill")
        .args(["-INT", &tap.child.id().to_string()])
        .status();
    assert!(signalled.expect("kill").success());
    let (code, seen) = tap.end();
    assert_eq!(code, Some(0), "{seen}");
    kill();
}

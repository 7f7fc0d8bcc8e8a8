//! A client as a process of its own.

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

/// How a client ended.
pub(crate) struct Ended {
    pub(crate) code: i32,
    pub(crate) out: String,
    pub(crate) errors: String,
}

impl Ended {
    pub(crate) fn lines(&self) -> Vec<&str> {
        self.out.lines().collect()
    }
}

/// Runs a client to its end, with nothing on stdin.
pub(crate) fn run(arguments: &[&str]) -> Ended {
    let mut process = Process::start(arguments);
    process.stdin = None;
    process.end()
}

/// A client, with nothing said about its streams.
pub(crate) fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let arguments = [&["roomwire-test"], arguments].concat().join("\n");
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ROOMWIRE_")) {
        command.env_remove(name);
    }
    command
        .args(["--exact", "client", "--nocapture"])
        .env(ARGUMENTS, arguments)
        .envs(variables.iter().copied());
    command
}

/// A client that runs. Killed if a test ends without it.
pub(crate) struct Process {
    pub(crate) child: Child,
    pub(crate) stdin: Option<ChildStdin>,
    pub(crate) stdout: Option<BufReader<ChildStdout>>,
    seen: String,
}

impl Process {
    pub(crate) fn start(arguments: &[&str]) -> Self {
        Self::start_with(arguments, &[])
    }

    pub(crate) fn start_with(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        let mut child = command(arguments, variables)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let stdin = child.stdin.take();
        let mut stdout = BufReader::new(child.stdout.take().expect("stdout"));
        let mut line = String::new();
        while !line.ends_with(PREAMBLE) {
            assert_ne!(stdout.read_line(&mut line).expect("stdout"), 0, "{line}");
        }
        Self {
            child,
            stdin,
            stdout: Some(stdout),
            seen: String::new(),
        }
    }

    pub(crate) fn write(&mut self, text: &str) {
        let stdin = self.stdin.as_mut().expect("stdin");
        stdin.write_all(text.as_bytes()).expect("written");
    }

    pub(crate) fn wait_for(&mut self, text: &str) {
        let stdout = self.stdout.as_mut().expect("stdout");
        while !self.seen.contains(text) {
            let count = stdout.read_line(&mut self.seen).expect("stdout");
            assert_ne!(count, 0, "ended without {text}: {}", self.seen);
        }
    }

    pub(crate) fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill").success());
    }

    pub(crate) fn end(&mut self) -> Ended {
        let deadline = Instant::now() + PATIENCE;
        // Its lines are read meanwhile, lest it wait for that.
        let reader = self.stdout.take().map(|mut stdout| {
            thread::spawn(move || {
                let mut rest = String::new();
                stdout.read_to_string(&mut rest).expect("stdout");
                rest
            })
        });
        let status = loop {
            if let Some(status) = self.child.try_wait().expect("state") {
                break status;
            }
            assert!(Instant::now() < deadline, "the client does not end");
            thread::sleep(Duration::from_millis(2));
        };
        let rest = reader.map(|reader| reader.join().expect("stdout"));
        let mut errors = String::new();
        let mut stderr = self.child.stderr.take().expect("stderr");
        stderr.read_to_string(&mut errors).expect("stderr");
        Ended {
            code: status.code().expect("an exit code"),
            out: std::mem::take(&mut self.seen) + &rest.unwrap_or_default(),
            errors,
        }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Holds the arguments, one a line.
pub(crate) const ARGUMENTS: &str = "TEST_CLIENT_ARGUMENTS";
pub(crate) const PREAMBLE: &str = "(the client)\n";
pub(crate) const PATIENCE: Duration = Duration::from_secs(20);

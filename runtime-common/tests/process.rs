//! The command line as a process of its own: environment, exit codes, streams, signals, the descriptor limit.
//!
//! The process is this test binary, started again to run only [`server`] with the arguments that a variable holds.
#![cfg(feature = "cli")]

use std::io::{BufRead, BufReader, Read, Write};
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use roomwire_runtime::client::{Pilot, Runtime};
use roomwire_runtime::{RunError, Settings, Shutdown, Signals, cli, listen};

/// The server process. Without its variable, as in a plain test run, there is none.
#[test]
fn server() {
    let Ok(arguments) = std::env::var(ARGUMENTS) else {
        return;
    };
    // Ends what the test harness says.
    std::io::stdout()
        .write_all(PREAMBLE.as_bytes())
        .expect("stdout");
    let arguments = arguments.lines().map(Into::into);
    let code = cli::run_from::<Nowhere>("roomwire-test", "1.2.3", arguments, serve);
    std::process::exit(code.into());
}

/// Clients that come back run on adapters, and none is asked for here.
enum Nowhere {}

impl Runtime for Nowhere {
    fn start(_: Pilot) -> std::io::Result<()> {
        unreachable!("a server is no client")
    }
}

/// Listens, tells what it was given, leaves by the first signal unless it is told to linger until the second.
fn serve(settings: Settings) -> Result<(), RunError> {
    let mut signals = Signals::install().map_err(RunError::io("installing signal handlers"))?;
    let mut listeners = Vec::new();
    for listener in &settings.listeners {
        let listener = listen::bind(&listener.address)?;
        let address = listener.local_addr();
        cli::announce(&address.map_err(RunError::io("asking for the address"))?);
        listeners.push(listener);
    }
    let until = match settings.core.drain.timeout_ms {
        0 => Shutdown::Drain,
        _ => Shutdown::Abort,
    };
    let deadline = Instant::now() + PATIENCE;
    let mut before = None;
    while Instant::now() < deadline {
        let now = signals.pending().map_err(RunError::io("reading signals"))?;
        if now != before {
            tracing::info!(target: "roomwire_test", ?now, "signal");
            before = now;
        }
        if now == Some(until) {
            return Ok(());
        }
        std::thread::sleep(Duration::from_millis(2));
    }
    Err(RunError::Thread("nobody sent a signal".to_owned()))
}

#[test]
fn the_settings_are_checked_and_nothing_is_run() {
    let out = finish(&["--check-config"], &[]);
    assert_eq!(out, (0, "config ok\n".to_owned(), String::new()));
}

#[test]
fn the_version_and_the_help_go_to_stdout() {
    assert_eq!(
        finish(&["--version"], &[]),
        (0, "roomwire-test 1.2.3\n".to_owned(), String::new())
    );
    for arguments in [["--help"].as_slice(), &["serve", "--help"]] {
        let (code, out, _) = finish(arguments, &[]);
        assert_eq!(code, 0);
        for part in ["--rate-limit", "[env: ROOMWIRE_RATE_LIMIT=]", "Exit codes"] {
            assert!(out.contains(part), "{part}: {out}");
        }
    }
}

#[test]
fn every_variable_sets_its_setting() {
    let (code, out, _) = finish(
        &["--print-config"],
        &[
            ("ROOMWIRE_LISTEN", "127.0.0.1:1,[::1]:2"),
            ("ROOMWIRE_ECHO", "1"),
            ("ROOMWIRE_RAW_PAYLOADS", "yes"),
            ("ROOMWIRE_TRUSTED_PROXY", "10.0.0.0/8,::1"),
            ("ROOMWIRE_RATE_LIMIT", "5/2"),
            ("ROOMWIRE_ALLOW_ORIGIN", "https://a,https://b"),
            ("ROOMWIRE_DRAIN_CODE", "4001"),
            ("ROOMWIRE_DRAIN_TIMEOUT_MS", "4002"),
            ("ROOMWIRE_HEARTBEAT_INTERVAL_MS", "4003"),
            ("ROOMWIRE_HEARTBEAT_TIMEOUT_MS", "4004"),
            ("ROOMWIRE_MAX_CONNECTIONS", "4005"),
            ("ROOMWIRE_MAX_CONNECTIONS_PER_IP", "4006"),
            ("ROOMWIRE_WELCOME_DELAY_MS", "4007"),
            ("ROOMWIRE_MAX_MESSAGE_BYTES", "4008"),
            ("ROOMWIRE_LOG", "json"),
            ("ROOMWIRE_LOG_LEVEL", "error"),
        ],
    );
    assert_eq!(code, 0);
    for line in [
        "address = \"127.0.0.1:1\"",
        "address = \"[::1]:2\"",
        "echo = true",
        "raw_payloads = true",
        "trusted_proxies = [\"10.0.0.0/8\", \"::1\"]",
        "messages = 5",
        "per_ms = 2000",
        "allow = [\"https://a\", \"https://b\"]",
        "code = 4001",
        "timeout_ms = 4002",
        "interval_ms = 4003",
        "timeout_ms = 4004",
        "max_connections = 4005",
        "max_connections_per_ip = 4006",
        "welcome_delay_ms = 4007",
        "max_message_bytes = 4008",
        "format = \"json\"",
        "level = \"error\"",
    ] {
        assert!(out.lines().any(|l| l == line), "{line}: {out}");
    }
    assert!(!out.contains("echo = false"), "{out}");
}

#[test]
fn a_flag_beats_a_variable_which_beats_the_file() {
    let file = File::new(
        "precedence",
        "[drain]\ncode = 4001\ntimeout_ms = 4001\nreconnect_min_ms = 401",
    );
    let variables = [
        ("ROOMWIRE_CONFIG", file.path()),
        ("ROOMWIRE_DRAIN_CODE", "4002"),
        ("ROOMWIRE_DRAIN_TIMEOUT_MS", "4002"),
    ];
    for arguments in [
        ["--drain-code=4003", "--print-config"].as_slice(),
        &["serve", "--drain-code=4003", "--print-config"],
        &["--drain-code=4003", "serve", "--print-config"],
    ] {
        let (_, out, _) = finish(arguments, &variables);
        for line in [
            "code = 4003",
            "timeout_ms = 4002",
            "reconnect_min_ms = 401",
            "reconnect_max_ms = 5000",
        ] {
            assert!(
                out.lines().any(|l| l == line),
                "{arguments:?} {line}: {out}"
            );
        }
    }
}

#[test]
fn a_variable_turns_a_switch_of_the_file_off() {
    let file = File::new("switch", "[[listener]]\necho = true");
    let variables = [("ROOMWIRE_CONFIG", file.path()), ("ROOMWIRE_ECHO", "false")];
    let (_, out, _) = finish(&["--print-config"], &variables);
    assert!(out.contains("echo = false"), "{out}");
}

#[test]
fn what_is_printed_can_be_fed_back() {
    let flags = [
        "--listen=0.0.0.0:0",
        "--rate-limit=game",
        "--max-message-bytes=16777216",
        "--print-config",
    ];
    let (code, first, _) = finish(&flags, &[]);
    assert_eq!(code, 0);
    let file = File::new("fed-back", &first);
    let (code, second, errors) = finish(&["--print-config", "--config", file.path()], &[]);
    assert_eq!((code, second, errors), (0, first, String::new()));
}

#[test]
fn mistakes_exit_with_2_and_say_what_is_allowed() {
    let file = File::new("mistake", "[limits]\nmax_headers = 129");
    let from_file = format!(
        "roomwire-test: {}:2: limits.max_headers = 129: allowed is 5 to 128\n",
        file.path()
    );
    let (code, _, errors) = finish(&["--config", file.path()], &[]);
    assert_eq!((code, errors), (2, from_file));

    let unknown = File::new("unknown", "[limits]\nmax_header = 1");
    let (code, _, errors) = finish(&["--config", unknown.path()], &[]);
    assert_eq!(code, 2);
    let start = format!(
        "roomwire-test: {}:2: unknown field `max_header`",
        unknown.path()
    );
    assert!(errors.starts_with(&start), "{errors}");

    let (code, _, errors) = finish(&["--drain-code=1006"], &[]);
    assert_eq!(code, 2);
    assert!(
        errors.starts_with("roomwire-test: --drain-code: drain.code = 1006"),
        "{errors}"
    );

    let (code, _, errors) = finish(&["--nonsense"], &[]);
    assert_eq!(code, 2);
    assert!(errors.contains("--nonsense"), "{errors}");

    let (code, _, errors) = finish(&[], &[("ROOMWIRE_RATE_LIMIT", "fast")]);
    assert_eq!(code, 2);
    assert!(
        errors.contains("'fast'") && errors.contains("off, chat, game"),
        "{errors}"
    );
}

#[test]
fn a_taken_address_exits_with_1_and_says_what_to_do() {
    let taken = listen::bind(&LOOPBACK.parse().expect("address")).expect("bind");
    let address = taken.local_addr().expect("address").to_string();
    for level in ["off", "info"] {
        let (code, out, errors) = finish(&["--listen", &address, "--log-level", level], &[]);
        assert_eq!((code, out.as_str()), (1, ""));
        assert!(
            errors.contains(&format!("cannot listen on {address}")),
            "{errors}"
        );
        assert!(errors.contains("choose another port"), "{errors}");
    }
}

#[test]
fn the_first_signal_drains() {
    for signal in ["-TERM", "-INT"] {
        let mut server = Server::start(&["--drain-timeout-ms=0"], &[]);
        assert!(server.address.starts_with("127.0.0.1:") && !server.address.ends_with(":0"));
        server.signal(signal);
        assert_eq!(server.end().0, 0);
    }
}

#[test]
fn a_second_signal_is_told_apart() {
    for second in ["-TERM", "-INT"] {
        let mut server = Server::start(&["--log=json"], &[]);
        server.signal("-TERM");
        server.wait_for_log("Some(Drain)");
        assert!(server.child.try_wait().expect("state").is_none());
        server.signal(second);
        let (code, errors) = server.end();
        assert_eq!(code, 0);
        assert!(errors.contains("Some(Abort)"), "{errors}");
    }
}

#[test]
fn a_public_address_is_warned_about() {
    // TEST-NET-1 (RFC 5737): nobody has it, so the server warns and then fails.
    let (code, _, errors) = finish(&["--log=json", "--listen=192.0.2.1:80"], &[]);
    assert_eq!(code, 1);
    let warning = errors
        .lines()
        .find(|line| line.contains("public address"))
        .expect("a warning");
    assert!(warning.contains("\"level\":\"WARN\""), "{warning}");
    assert!(
        warning.contains("\"address\":\"192.0.2.1:80\""),
        "{warning}"
    );

    let mut server = Server::start(&["--drain-timeout-ms=0"], &[]);
    server.signal("-TERM");
    assert!(!server.end().1.contains("public address"));
}

#[test]
fn more_connections_than_descriptors_are_lowered_with_a_warning() {
    let mut server = Server::start_limited(
        &["--drain-timeout-ms=0", "--max-connections=1000"],
        "ulimit -n 512",
    );
    server.signal("-TERM");
    let (code, errors) = server.end();
    assert_eq!(code, 0);
    assert!(errors.contains("wanted=1000 cap=448 limit=512"), "{errors}");
}

#[test]
fn the_soft_descriptor_limit_is_raised() {
    let mut server = Server::start_limited(
        &["--drain-timeout-ms=0", "--max-connections=1000"],
        "ulimit -Sn 300 && ulimit -Hn 600",
    );
    server.signal("-TERM");
    let (code, errors) = server.end();
    assert_eq!(code, 0);
    assert!(errors.contains("wanted=1000 cap=536 limit=600"), "{errors}");
}

/// Runs the server process to its end: exit code, stdout, stderr.
fn finish(arguments: &[&str], variables: &[(&str, &str)]) -> (i32, String, String) {
    let Output {
        status,
        stdout,
        stderr,
    } = command(arguments, variables).output().expect("a process");
    let stdout = String::from_utf8(stdout).expect("text");
    (
        status.code().expect("an exit code"),
        stdout
            .split_once(PREAMBLE)
            .map(|(_, out)| out.to_owned())
            .expect("stdout"),
        String::from_utf8(stderr).expect("text"),
    )
}

fn command(arguments: &[&str], variables: &[(&str, &str)]) -> Command {
    let mut command = Command::new(std::env::current_exe().expect("this program"));
    configure(&mut command, arguments, variables);
    command
}

fn configure(command: &mut Command, arguments: &[&str], variables: &[(&str, &str)]) {
    let arguments = [&["roomwire-test"], arguments].concat().join("\n");
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("ROOMWIRE_")) {
        command.env_remove(name);
    }
    command
        .args(["--exact", "server", "--nocapture"])
        .env(ARGUMENTS, arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null());
}

/// A running server process on a free port. Killed if a test ends without it.
struct Server {
    child: Child,
    address: String,
    errors: BufReader<std::process::ChildStderr>,
    seen: String,
}

impl Server {
    fn start(arguments: &[&str], variables: &[(&str, &str)]) -> Self {
        Self::spawn(command(&with_listen(arguments), variables))
    }

    /// Behind a shell that lowers the descriptor limit first.
    fn start_limited(arguments: &[&str], limit: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new("sh");
        command
            .args(["-c", &format!("{limit} && exec \"$0\" \"$@\"")])
            .arg(program);
        configure(&mut command, &with_listen(arguments), &[]);
        Self::spawn(command)
    }

    fn spawn(mut command: Command) -> Self {
        let mut child = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("a process");
        let mut out = BufReader::new(child.stdout.take().expect("stdout")).lines();
        let errors = BufReader::new(child.stderr.take().expect("stderr"));
        let address = out
            .find_map(|line| line.ok()?.strip_prefix("listening on ").map(str::to_owned))
            .expect("an address");
        Self {
            child,
            address,
            errors,
            seen: String::new(),
        }
    }

    fn signal(&self, signal: &str) {
        let status = Command::new("kill")
            .args([signal, &self.child.id().to_string()])
            .status();
        assert!(status.expect("kill").success());
    }

    fn wait_for_log(&mut self, text: &str) {
        while !self.seen.contains(text) {
            let count = self.errors.read_line(&mut self.seen).expect("stderr");
            assert_ne!(count, 0, "ended without {text}: {}", self.seen);
        }
    }

    /// Exit code and stderr.
    fn end(&mut self) -> (i32, String) {
        self.errors.read_to_string(&mut self.seen).expect("stderr");
        let status = self.child.wait().expect("an end");
        (status.code().expect("an exit code"), self.seen.clone())
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn with_listen<'a>(arguments: &[&'a str]) -> Vec<&'a str> {
    let mut arguments = arguments.to_vec();
    if !arguments.iter().any(|a| a.starts_with("--listen")) {
        arguments.extend(["--listen", LOOPBACK]);
    }
    arguments
}

/// A file that goes away with the test.
struct File(String);

impl File {
    fn new(name: &str, text: &str) -> Self {
        let name = format!("roomwire-{}-{name}.toml", std::process::id());
        let path = std::env::temp_dir().join(name);
        std::fs::write(&path, text).expect("a file");
        Self(path.to_str().expect("text").to_owned())
    }

    fn path(&self) -> &str {
        &self.0
    }
}

impl Drop for File {
    fn drop(&mut self) {
        let _ = std::fs::remove_file(&self.0);
    }
}

/// Holds the arguments, one a line.
const ARGUMENTS: &str = "TEST_SERVER_ARGUMENTS";
const LOOPBACK: &str = "127.0.0.1:0";
const PREAMBLE: &str = "(the server)\n";
/// A server whose signal got lost ends by itself.
const PATIENCE: Duration = Duration::from_secs(20);

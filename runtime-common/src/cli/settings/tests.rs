//! Tests of what beats what, of every flag, and of what a mistake is answered with.

use clap::Parser;
use roomwire_core::config::Limits;

use super::*;
use crate::cli::options::Cli;
use crate::settings::{LogFormat, LogLevel};

fn options(arguments: &[&str]) -> Options {
    let arguments = ["roomwire"].iter().chain(arguments);
    Cli::try_parse_from(arguments).expect("valid flags").options
}

/// The settings of `arguments` over a config file of `text`.
fn over(text: &str, arguments: &[&str]) -> Result<Settings, String> {
    let file = file::parse(text).expect("a valid file");
    resolve(&options(arguments), &file, |key| {
        format!("{:?}: ", file::line_of(text, key))
    })
}

fn with(arguments: &[&str]) -> Settings {
    over("", arguments).expect("valid settings")
}

fn refused(arguments: &[&str]) -> String {
    let arguments = ["roomwire"].iter().chain(arguments);
    Cli::try_parse_from(arguments)
        .expect_err("a wrong flag")
        .to_string()
}

#[test]
fn no_flag_is_the_default() {
    assert_eq!(with(&[]), defaults());
}

/// Those of the library, and a thread for each core.
fn defaults() -> Settings {
    let cores = std::thread::available_parallelism().expect("a number of cores");
    Settings {
        threads: u8::try_from(cores.get()).unwrap_or(u8::MAX),
        ..Settings::default()
    }
}

#[test]
fn threads_are_as_many_as_are_asked_for() {
    assert_eq!(with(&["--threads", "3"]).threads, 3);
    // One that is recorded is alone, unless it is not to be.
    assert_eq!(with(&["--record", "somewhere"]).threads, 1);
    for (arguments, flag) in [
        (&["--threads", "0"] as &[_], "--threads: threads.count = 0"),
        (
            &["--threads", "2", "--record", "somewhere"],
            "--threads: threads.count = 2: allowed is 1",
        ),
    ] {
        let wrong = over("", arguments).expect_err("refused");
        assert!(wrong.starts_with(flag), "{wrong}");
    }
}

#[test]
fn every_flag_sets_its_setting() {
    let s = with(&["--listen", "127.0.0.1:0", "--listen", "[::1]:1"]);
    let addresses: Vec<_> = s.listeners.iter().map(|l| l.address.to_string()).collect();
    assert_eq!(addresses, ["127.0.0.1:0", "[::1]:1"]);
    assert!(with(&["--echo"]).listeners[0].options.echo);
    assert!(with(&["--raw-payloads"]).listeners[0].options.raw_payloads);
    assert!(with(&[]).core.compression.enabled);
    assert!(!with(&["--compression=false"]).core.compression.enabled);
    let s = with(&["--trusted-proxy", "10.0.0.0/8", "--trusted-proxy", "::1"]);
    assert_eq!(
        s.listeners[0].options.trusted_proxies,
        ["10.0.0.0/8", "::1"]
    );
    let s = with(&["--allow-origin", "https://a", "--allow-origin", "null"]);
    assert_eq!(s.core.origin.allow, ["https://a", "null"]);
    assert_eq!(with(&["--drain-code", "4000"]).core.drain.code, 4_000);
    assert_eq!(with(&["--drain-timeout-ms", "1"]).core.drain.timeout_ms, 1);
    let heartbeat = with(&[
        "--heartbeat-interval-ms",
        "2",
        "--heartbeat-timeout-ms",
        "3",
    ])
    .core
    .heartbeat;
    assert_eq!((heartbeat.interval_ms, heartbeat.timeout_ms), (2, 3));
    let limits = with(&["--max-connections", "4", "--max-connections-per-ip", "5"])
        .core
        .limits;
    assert_eq!(limits.max_connections, Some(4));
    assert_eq!(limits.max_connections_per_ip, Some(5));
    let s = with(&["--welcome-delay-ms", "0"]);
    assert_eq!(s.core.timeouts.welcome_delay_ms, 0);
    let s = with(&["--max-message-bytes", "1000"]);
    assert_eq!(s.core.limits.max_message_bytes, 1_000);
    let log = with(&["--log", "json", "--log-level", "trace"]).log;
    assert_eq!((log.format, log.level), (LogFormat::Json, LogLevel::Trace));
    let o = options(&["--config", "x.toml", "--check-config", "--print-config"]);
    assert_eq!(o.config.as_deref(), Some(Path::new("x.toml")));
    assert_eq!((o.check_config, o.print_config), (Some(true), Some(true)));
}

#[test]
fn trusted_proxies_are_those_of_every_listener() {
    let file = "[[listener]]\naddress = \"[::1]:1\"\ntrusted_proxies = [\"local\"]\n\
        [[listener]]\naddress = \"[::1]:2\"";
    let trusted = |arguments: &[&str]| {
        let settings = over(file, arguments).expect("valid");
        let each = settings.listeners.into_iter();
        each.map(|l| l.options.trusted_proxies).collect::<Vec<_>>()
    };
    assert_eq!(trusted(&[]), [vec!["local"], vec![]]);
    assert_eq!(trusted(&["--trusted-proxy", "::1"]), [["::1"], ["::1"]]);
    let wrong = over(
        file,
        &["--listen=[::1]:3", "--trusted-proxy=::1,10.0.0.0/33"],
    );
    assert_eq!(
        wrong.expect_err("a wrong network"),
        "--trusted-proxy: listener[0].trusted_proxies[1] = \"10.0.0.0/33\": allowed is an IP address such as \
         `127.0.0.1` or `::1`, a network such as `10.0.0.0/8`, or `local` for UNIX sockets"
    );
    let wrong = over(&file.replace("local", "here"), &[]).expect_err("a wrong word");
    assert!(
        wrong.contains("listener[0].trusted_proxies[0] = \"here\""),
        "{wrong}"
    );
    assert!(!wrong.contains("--"), "{wrong}");
}

#[test]
fn the_proxy_protocol_needs_proxies_from_the_file_or_a_flag() {
    let file = "[[listener]]\naddress = \"[::1]:1\"\nproxy_protocol = true";
    let settings = over(file, &["--trusted-proxy=::1"]).expect("valid");
    assert!(settings.listeners[0].options.proxy_protocol);
    assert_eq!(
        over(file, &[]).expect_err("no proxies"),
        "Some(3): listener[0].proxy_protocol = true: allowed is false where no listener[0].trusted_proxies are listed: \
         only they may say for whom they connect"
    );
}

#[test]
fn flags_stand_before_and_after_the_command() {
    for arguments in [
        &["--drain-code", "1001"] as &[_],
        &["serve", "--drain-code", "1001"],
        &["--drain-code", "1001", "serve"],
        &["--drain-code=1001", "serve", "--echo"],
    ] {
        assert_eq!(with(arguments).core.drain.code, 1_001, "{arguments:?}");
    }
    assert_eq!(with(&["serve"]), defaults());
}

#[test]
fn rate_limits_are_presets_or_counts() {
    let rate = |text| with(&["--rate-limit", text]).core.rate_limit;
    assert_eq!(rate("off"), RateLimit::off());
    assert_eq!(rate("chat"), RateLimit::chat());
    assert_eq!(rate("game"), RateLimit::game());
    assert_eq!(rate("50/10"), RateLimit::custom(50, 10_000));
    for bad in [
        "",
        "fast",
        "5",
        "5/",
        "/5",
        "0/1",
        "1/0",
        "-1/1",
        "1/1.5",
        "1/99999999999999999999",
    ] {
        let message = refused(&[&format!("--rate-limit={bad}")]);
        assert!(message.contains("--rate-limit"), "{bad}: {message}");
    }
    assert!(
        refused(&["--rate-limit", "fast"]).contains("allowed is off, chat, game, or COUNT/SECONDS")
    );
}

#[test]
fn a_counted_rate_keeps_the_rest_of_the_section_a_preset_does_not() {
    let text = "[rate_limit]\nenabled = false\ndeliveries_per_second = 7";
    let counted = over(text, &["--rate-limit", "5/1"]).expect("valid");
    assert_eq!(counted.core.rate_limit.deliveries_per_second, 7);
    assert!(counted.core.rate_limit.enabled);
    let preset = over(text, &["--rate-limit", "game"]).expect("valid");
    assert_eq!(preset.core.rate_limit, RateLimit::game());
}

#[test]
fn a_flag_beats_the_file() {
    let text = "\
[drain]
code = 4000
timeout_ms = 1
[origin]
allow = [\"https://file\"]
[log]
level = \"debug\"
[[listener]]
address = \"127.0.0.1:1\"
echo = true
[[listener]]
address = \"127.0.0.1:2\"
health = false
";
    let file = over(text, &[]).expect("valid");
    assert_eq!(file.core.drain.code, 4_000);
    assert_eq!(file.log.level, LogLevel::Debug);
    assert_eq!(file.listeners.len(), 2);

    let flags = [
        "--drain-code=1001",
        "--allow-origin=https://flag",
        "--log-level=warn",
    ];
    let both = over(text, &flags).expect("valid");
    assert_eq!(
        (both.core.drain.code, both.core.drain.timeout_ms),
        (1_001, 1)
    );
    assert_eq!(both.core.origin.allow, ["https://flag"]);
    assert_eq!(both.log.level, LogLevel::Warn);
    assert_eq!(both.listeners, file.listeners);

    let both = over(text, &["--listen=127.0.0.1:3"]).expect("valid");
    let expected = ListenerSettings::at(([127, 0, 0, 1], 3));
    assert_eq!(both.listeners, [expected]);
}

#[test]
fn a_switch_reaches_every_listener_and_can_be_turned_off() {
    let text = "[[listener]]\necho = true\n[[listener]]\naddress = \"127.0.0.1:0\"";
    let echo = |arguments: &[&str]| -> Vec<bool> {
        let settings = over(text, arguments).expect("valid");
        settings.listeners.iter().map(|l| l.options.echo).collect()
    };
    assert_eq!(echo(&[]), [true, false]);
    assert_eq!(echo(&["--echo"]), [true, true]);
    assert_eq!(echo(&["--echo=false"]), [false, false]);
    assert_eq!(echo(&["--echo=on", "serve"]), [true, true]);
}

#[test]
fn a_large_message_alone_raises_the_queues() {
    let limits = with(&["--max-message-bytes=16777216"]).core.limits;
    assert_eq!(limits.max_queued_bytes, 16_777_216 + 1_024);
    assert_eq!(
        limits.max_buffered_bytes,
        Limits::default().max_buffered_bytes
    );
    let limits = with(&["--max-message-bytes=1073741824"]).core.limits;
    assert_eq!(limits.max_queued_bytes, 1_073_741_824 + 1_024);
    assert_eq!(limits.max_buffered_bytes, 2 * 1_073_741_824 + 1_024);
    let file = over("limits.max_message_bytes = 16777216", &[]).expect("valid");
    assert_eq!(file.core.limits.max_queued_bytes, 16_777_216 + 1_024);
}

#[test]
fn a_queue_that_is_set_is_not_raised() {
    let text = "[limits]\nmax_queued_bytes = 2000000";
    let error = over(text, &["--max-message-bytes=16777216"]).expect_err("too small");
    assert!(
        error.starts_with(
            "Some(2): limits.max_queued_bytes = 2000000: allowed is 16778240 to 4294967295"
        ),
        "{error}"
    );
    let text = "[limits]\nmax_buffered_bytes = 5000000";
    let error = over(text, &[]).expect_err("too small");
    assert!(
        error.starts_with("Some(2): limits.max_buffered_bytes"),
        "{error}"
    );
}

#[test]
fn a_bad_value_is_named_with_where_it_came_from() {
    let error = |text: &str, arguments: &[&str]| over(text, arguments).expect_err("refused");
    assert_eq!(
        error("[drain]\n\ncode = 1006", &[]),
        "Some(3): drain.code = 1006: allowed is 1000, 1001, 1011, 1012, 1013 or 3000 to 4999"
    );
    assert_eq!(
        error("[drain]\ncode = 1000", &["--drain-code=1006"]),
        "--drain-code: drain.code = 1006: allowed is 1000, 1001, 1011, 1012, 1013 or 3000 to 4999"
    );
    assert_eq!(
        error("", &["--max-message-bytes=0"]),
        "--max-message-bytes: limits.max_message_bytes = 0: allowed is 125 to 1073741824"
    );
    assert!(
        error("", &["--allow-origin=a.example"]).starts_with("--allow-origin: origin.allow[0] = ")
    );
    assert!(error("", &["--max-connections=0"]).starts_with("--max-connections: "));
    assert!(error("", &["--max-connections-per-ip=0"]).starts_with("--max-connections-per-ip: "));
    assert!(error("", &["--heartbeat-timeout-ms=0"]).starts_with("--heartbeat-timeout-ms: "));
    assert!(
        error("", &["--heartbeat-interval-ms=2592000001"]).starts_with("--heartbeat-interval-ms: ")
    );
    assert!(error("", &["--drain-timeout-ms=2592000001"]).starts_with("--drain-timeout-ms: "));
    assert!(error("", &["--welcome-delay-ms=10001"]).starts_with("--welcome-delay-ms: "));
    assert!(
        error("", &["--rate-limit=4294967295/1"]).starts_with("--rate-limit: rate_limit.messages")
    );
}

#[test]
fn an_address_is_listed_once_but_port_0_any_number_of_times() {
    let twice = ["--listen=127.0.0.1:1", "--listen=127.0.0.1:1"];
    assert_eq!(
        over("", &twice).expect_err("twice"),
        "--listen: listener[1].address = 127.0.0.1:1: allowed is an address that listener[0] does not have"
    );
    assert_eq!(
        with(&["--listen=127.0.0.1:0,127.0.0.1:0"]).listeners.len(),
        2
    );
}

#[test]
fn flags_that_cannot_be_read_are_named_with_what_is_allowed() {
    for bad in ["8080", "localhost:8080", "127.0.0.1", "127.0.0.1:65536", ""] {
        let message = refused(&[&format!("--listen={bad}")]);
        assert!(message.contains("--listen <ADDR:PORT>"), "{bad}: {message}");
    }
    assert!(refused(&["--listen=x"]).contains("such as 127.0.0.1:8080"));
    for flag in [
        "--drain-code",
        "--drain-timeout-ms",
        "--heartbeat-interval-ms",
        "--heartbeat-timeout-ms",
        "--max-connections",
        "--max-connections-per-ip",
        "--welcome-delay-ms",
        "--max-message-bytes",
    ] {
        for bad in ["x", "-1", "1.5", "99999999999999999999"] {
            let message = refused(&[&format!("{flag}={bad}")]);
            let start = format!("error: invalid value '{bad}' for '{flag} <");
            assert!(message.starts_with(&start), "{message}");
        }
    }
    assert!(refused(&["--log=xml"]).contains("[possible values: text, json]"));
    assert!(refused(&["--log-level=loud"]).contains("off, error, warn, info, debug, trace"));
    assert!(refused(&["--echo=maybe"]).contains("--echo"));
    assert!(refused(&["--eco"]).contains("--echo"));
    assert!(refused(&["run"]).contains("run"));
}

#[test]
fn a_config_file_that_is_not_there_is_named() {
    let error = load(&options(&["--config", "/nonexistent/x.toml"])).expect_err("missing");
    assert!(
        error.starts_with("cannot read the config file /nonexistent/x.toml: "),
        "{error}"
    );
}

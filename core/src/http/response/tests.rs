use super::*;
use crate::http::{HeadLimits, Parsed};

/// RFC 9110's own example of a date.
const UNIX_MS: u64 = 784_111_777_000;

const KEEP: ReplyTo = ReplyTo {
    unix_ms: UNIX_MS,
    keep_alive: true,
    head_only: false,
};

fn response(response: &Response<'_>, reply: &ReplyTo) -> String {
    let mut out = Vec::new();
    response.write(reply, &mut out);
    String::from_utf8(out).expect("text")
}

fn refusal(refusal: Refusal, reply: &ReplyTo) -> String {
    let mut out = Vec::new();
    refusal.write(reply, &mut out);
    String::from_utf8(out).expect("text")
}

const HEALTH: &[u8] = br#"{"status":"healthy","clients":2,"rooms":1,"uptime":3.5}"#;

#[test]
fn health_is_golden() {
    let health = Response::json(Status::Ok, HEALTH).no_store();
    let head = "HTTP/1.1 200 OK\r\n\
        Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
        Content-Type: application/json\r\n\
        Content-Length: 55\r\n\
        X-Content-Type-Options: nosniff\r\n\
        Cache-Control: no-store\r\n\
        Connection: keep-alive\r\n\
        \r\n";
    let body = r#"{"status":"healthy","clients":2,"rooms":1,"uptime":3.5}"#;
    assert_eq!(response(&health, &KEEP), format!("{head}{body}"));
    let head_only = ReplyTo {
        head_only: true,
        ..KEEP
    };
    assert_eq!(response(&health, &head_only), head);
}

#[test]
fn not_found_is_golden() {
    assert_eq!(
        refusal(Refusal::not_found(), &ReplyTo::unparsed(UNIX_MS)),
        "HTTP/1.1 404 Not Found\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 9\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Connection: close\r\n\
         \r\n\
         Not found"
    );
}

#[test]
fn upgrade_required_is_golden() {
    assert_eq!(
        refusal(Refusal::upgrade_required(), &KEEP),
        "HTTP/1.1 426 Upgrade Required\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Content-Type: text/plain; charset=utf-8\r\n\
         Content-Length: 63\r\n\
         X-Content-Type-Options: nosniff\r\n\
         Upgrade: websocket\r\n\
         Sec-WebSocket-Version: 13\r\n\
         Connection: keep-alive, Upgrade\r\n\
         \r\n\
         This is a WebSocket endpoint, connect with WebSocket version 13"
    );
}

#[test]
fn responses_are_appended() {
    let mut out = b"before".to_vec();
    Refusal::not_found().write(&KEEP, &mut out);
    Refusal::not_found().write(&KEEP, &mut out);
    assert!(out.starts_with(b"beforeHTTP/1.1 404"));
    assert_eq!(memchr::memmem::find_iter(&out, b"HTTP/1.1 404").count(), 2);
}

/// Refusals: status line, own fields, whether the connection can go on.
#[test]
fn refusals() {
    let cases = [
        (Refusal::bad_request("Why"), "400 Bad Request", "", false),
        (Refusal::forbidden("Why"), "403 Forbidden", "", true),
        (Refusal::not_found(), "404 Not Found", "", true),
        (
            Refusal::method_not_allowed("GET, HEAD"),
            "405 Method Not Allowed",
            "Allow: GET, HEAD\r\n",
            true,
        ),
        (Refusal::request_timeout(), "408 Request Timeout", "", false),
        (
            Refusal::content_too_large(),
            "413 Content Too Large",
            "",
            false,
        ),
        (
            Refusal::expectation_failed(),
            "417 Expectation Failed",
            "",
            false,
        ),
        (
            Refusal::upgrade_required(),
            "426 Upgrade Required",
            "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\n",
            true,
        ),
        (
            Refusal::head_too_large(),
            "431 Request Header Fields Too Large",
            "",
            false,
        ),
        (
            Refusal::not_implemented("Why"),
            "501 Not Implemented",
            "",
            false,
        ),
        (
            Refusal::unavailable("Draining", Some(7)),
            "503 Service Unavailable",
            "Retry-After: 7\r\n",
            false,
        ),
        (
            Refusal::unavailable("Draining", None),
            "503 Service Unavailable",
            "",
            false,
        ),
        (
            Refusal::version_not_supported(),
            "505 HTTP Version Not Supported",
            "",
            false,
        ),
    ];
    for (it, status_line, fields, keeps) in cases {
        let text = refusal(it, &KEEP);
        assert!(
            text.starts_with(&format!("HTTP/1.1 {status_line}\r\n")),
            "{text}"
        );
        assert!(
            text.contains(&format!("nosniff\r\n{fields}Connection: ")),
            "{text}"
        );
        assert!(text.ends_with(&format!("\r\n\r\n{}", it.text())), "{text}");
        assert!(text.contains(&format!("Content-Length: {}\r\n", it.text().len())));
        assert_eq!(it.keeps_connection(), keeps, "{status_line}");
        assert_eq!(
            text.contains("Connection: keep-alive"),
            keeps,
            "{status_line}"
        );
        assert!(refusal(it, &ReplyTo::unparsed(0)).contains("Connection: close"));
        assert_eq!(it.status().reason(), &status_line[4..]);
        assert!((1..80).contains(&it.text().len()));
    }
}

#[test]
fn replies_follow_the_request() {
    let reply = |bytes: &[u8]| {
        let limits = HeadLimits {
            max_bytes: 1_024,
            max_headers: 8,
        };
        match RequestHead::parse(bytes, &limits, &mut 0) {
            Ok(Parsed::Complete { head, .. }) => ReplyTo::request(&head, 1),
            other => panic!("{other:?}"),
        }
    };
    let get = reply(b"GET / HTTP/1.1\r\nHost: a\r\n\r\n");
    assert!(get.keep_alive && !get.head_only);
    let head = reply(b"HEAD / HTTP/1.0\r\n\r\n");
    assert!(!head.keep_alive && head.head_only);
}

#[test]
fn dates() {
    let cases = [
        (0, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (999, "Thu, 01 Jan 1970 00:00:00 GMT"),
        (86_399_999, "Thu, 01 Jan 1970 23:59:59 GMT"),
        (86_400_000, "Fri, 02 Jan 1970 00:00:00 GMT"),
        (68_169_600_000, "Tue, 29 Feb 1972 00:00:00 GMT"),
        (784_111_777_000, "Sun, 06 Nov 1994 08:49:37 GMT"),
        (951_782_400_000, "Tue, 29 Feb 2000 00:00:00 GMT"),
        (951_868_800_000, "Wed, 01 Mar 2000 00:00:00 GMT"),
        (978_307_199_000, "Sun, 31 Dec 2000 23:59:59 GMT"),
        (1_709_164_800_000, "Thu, 29 Feb 2024 00:00:00 GMT"),
        (1_735_689_600_000, "Wed, 01 Jan 2025 00:00:00 GMT"),
        (4_107_542_400_000, "Mon, 01 Mar 2100 00:00:00 GMT"),
        (MAX_DATE_UNIX_MS, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (MAX_DATE_UNIX_MS + 1, "Fri, 31 Dec 9999 23:59:59 GMT"),
        (u64::MAX, "Fri, 31 Dec 9999 23:59:59 GMT"),
    ];
    for (unix_ms, expected) in cases {
        let mut out = Vec::new();
        push_date(&mut out, unix_ms);
        assert_eq!(String::from_utf8_lossy(&out), expected);
    }
}

/// Every day of 400 years and more, counted the slow way.
#[test]
fn the_calendar_has_no_gaps() {
    let (mut year, mut month, mut day) = (1970, 0, 1);
    for days in 0..200_000 {
        let (civil_year, from_march, civil_day) = civil(days);
        assert_eq!(
            (civil_year, (from_march + 2) % 12, civil_day),
            (year, month, day)
        );
        let leap = year % 4 == 0 && (year % 100 != 0 || year % 400 == 0);
        let february = if leap { 29 } else { 28 };
        let length = [31, february, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31][month as usize];
        day += 1;
        if day > length {
            (month, day) = (month + 1, 1);
        }
        if month == 12 {
            (year, month) = (year + 1, 0);
        }
    }
}

#[test]
fn a_public_file_is_golden() {
    let file = Response::public_file("text/javascript", b"1;", 0x1f);
    assert_eq!(
        response(&file, &KEEP),
        "HTTP/1.1 200 OK\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         Content-Type: text/javascript\r\n\
         Content-Length: 2\r\n\
         X-Content-Type-Options: nosniff\r\n\
         ETag: \"000000000000001f\"\r\n\
         Cache-Control: no-cache\r\n\
         Access-Control-Allow-Origin: *\r\n\
         Connection: keep-alive\r\n\
         \r\n\
         1;"
    );
    assert_eq!(
        response(&file.not_modified(), &KEEP),
        "HTTP/1.1 304 Not Modified\r\n\
         Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
         X-Content-Type-Options: nosniff\r\n\
         ETag: \"000000000000001f\"\r\n\
         Cache-Control: no-cache\r\n\
         Access-Control-Allow-Origin: *\r\n\
         Connection: keep-alive\r\n\
         \r\n"
    );
}

#[test]
fn a_page_is_golden() {
    let page = Response::page_file("text/html", b"<p>", 0x1f);
    let policy = "Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; \
        connect-src 'self'; img-src 'self' blob:; base-uri 'none'; form-action 'none'; frame-ancestors 'none'\r\n\
        Referrer-Policy: no-referrer\r\n";
    let rest = format!(
        "X-Content-Type-Options: nosniff\r\n\
         ETag: \"000000000000001f\"\r\n\
         Cache-Control: no-cache\r\n\
         {policy}\
         Connection: keep-alive\r\n\
         \r\n"
    );
    assert_eq!(
        response(&page, &KEEP),
        format!(
            "HTTP/1.1 200 OK\r\n\
             Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             Content-Type: text/html\r\n\
             Content-Length: 3\r\n\
             {rest}<p>"
        )
    );
    assert_eq!(
        response(&page.not_modified(), &KEEP),
        format!(
            "HTTP/1.1 304 Not Modified\r\n\
             Date: Sun, 06 Nov 1994 08:49:37 GMT\r\n\
             {rest}"
        )
    );
}

use super::*;

fn plan(url: &str, change: impl FnOnce(&mut ClientSettings)) -> Result<Plan, RunError> {
    let mut settings = ClientSettings::new(url).expect("a URL");
    change(&mut settings);
    settings.plan()
}

#[test]
fn a_url_says_where_to_and_what_to_ask_for() {
    let plan = plan("ws://[::1]:8080/ws?a=b", |_| {}).expect("a plan");
    assert_eq!(plan.dial, ("::1".to_owned(), 8080));
    let connection = &plan.session.connection;
    assert_eq!(connection.host, "[::1]:8080");
    assert_eq!(connection.target, "/ws?a=b");
    assert!(plan.route.proxy.is_none());
    let settings = ClientSettings::new("ws://example.com").expect("a URL");
    assert_eq!(settings.url(), "ws://example.com/");
}

#[test]
fn a_proxy_is_dialled_and_asked_for_the_server() {
    let proxied = |it: &mut ClientSettings| it.proxy = "http://proxy:3128".parse().ok();
    let plan = plan("ws://example.com/", proxied).expect("a plan");
    assert_eq!(plan.dial, ("proxy".to_owned(), 3128));
    let (_, to) = plan.route.proxy.expect("a proxy");
    assert_eq!(to, "example.com:80");
}

/// The server that a request names is the one that it goes to.
#[test]
fn the_host_is_the_urls() {
    let other = |it: &mut ClientSettings| it.session.connection.host = "elsewhere".to_owned();
    let plan = plan("ws://example.com:81/", other).expect("a plan");
    assert_eq!(plan.session.connection.host, "example.com:81");
}

#[cfg(feature = "tls")]
#[test]
fn whom_to_trust_is_read_at_once() {
    for (roots, part) in [
        (
            Roots::Files(Vec::new()),
            "no file with authorities is named",
        ),
        (
            Roots::Files(vec!["/nowhere".into()]),
            "/nowhere: cannot be read",
        ),
        (Roots::Pem(Vec::new()), "no certificate in PEM"),
    ] {
        let error = plan("wss://localhost/", |it| it.roots = roots).expect_err("an error");
        assert!(error.to_string().contains(part), "{error}");
    }
}

#[cfg(not(feature = "tls"))]
#[test]
fn without_tls_there_is_no_wss() {
    let error = plan("wss://localhost/", |_| {}).expect_err("an error");
    assert!(error.to_string().contains("without TLS"), "{error}");
}

#[test]
fn they_are_shown_without_secrets() {
    let mut settings = ClientSettings::new("ws://example.com/ws?token=secret").expect("a URL");
    let headers = &mut settings.session.connection.headers;
    headers.push(("Authorization".to_owned(), "Bearer secret".to_owned()));
    settings.proxy = "http://user:secret@proxy:3128".parse().ok();
    let shown = format!("{settings:?}");
    assert!(!shown.contains("secret"), "{shown}");
    assert!(shown.contains("ws://example.com/ws"), "{shown}");
}

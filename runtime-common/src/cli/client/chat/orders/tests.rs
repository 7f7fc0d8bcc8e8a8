use super::*;

#[test]
fn lines_are_orders_or_said() {
    for (line, order) in [
        ("", Order::Nothing),
        ("  ", Order::Nothing),
        ("hello /you ", Order::Say("hello /you")),
        ("//join", Order::Say("/join")),
        (r#"{"type":"ping"}"#, Order::Raw(r#"{"type":"ping"}"#)),
        ("/join  tea and cake ", Order::Join("tea and cake")),
        ("/join", Order::Wrong("/join ROOM")),
        ("/room tea", Order::Room("tea")),
        ("/room", Order::Wrong("/room ROOM")),
        ("/leave", Order::Leave(None)),
        ("/leave tea", Order::Leave(Some("tea"))),
        ("/members", Order::Members(None)),
        ("/members tea", Order::Members(Some("tea"))),
        ("/history", Order::History(None, 20)),
        ("/history 3", Order::History(None, 3)),
        ("/history tea", Order::History(Some("tea"), 20)),
        ("/history tea 3", Order::History(Some("tea"), 3)),
        ("/history two words 3", Order::History(Some("two words"), 3)),
        ("/history two words", Order::History(Some("two words"), 20)),
        ("/to abc  psst you", Order::Tell("abc", "psst you")),
        ("/to abc", Order::Wrong("/to CLIENT TEXT")),
        ("/to", Order::Wrong("/to CLIENT TEXT")),
        ("/ping", Order::Ping),
        ("/me", Order::Who),
        ("/wake", Order::Wake),
        ("/quit", Order::Quit),
        ("/help", Order::Help),
        ("/?", Order::Help),
        ("/dance", Order::Wrong("one of the orders that /help shows")),
        (
            "/ping me",
            Order::Wrong("one of the orders that /help shows"),
        ),
        ("/", Order::Wrong("one of the orders that /help shows")),
    ] {
        assert_eq!(Order::read(line), order, "{line}");
    }
}

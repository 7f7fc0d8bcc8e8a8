//! The client's half of the dialect: what it reads is what a server said, and a server reads what it writes.

use roomwire_core::client::session::{Content, Message, Told};
use roomwire_core::config::Limits;
use roomwire_core::dialect::json::client::{
    BATCH_BYTES, batch, is_object, join, leave, ping, resume, split_batch, with_id,
};
use roomwire_core::dialect::json::{JsonLimits, decode};
use roomwire_core::{
    ClientMessage, Data, Epoch, Former, Messages, Request, ServerMessage, SessionSecret, Since,
};
use serde_json::Value;

use super::{client, id_of, is_json};

/// `text` is that message as a server writes it.
pub(super) fn check_read(message: &ServerMessage<'_>, id: Option<&str>, text: &str) {
    let read = Message::read(text.to_owned());
    assert_eq!((read.text.as_str(), read.id.as_deref()), (text, id));
    assert_eq!(read.told, Told::of(message), "{text}");
}

/// Anything is read, by itself and as the value of each field that a message may have.
pub(super) fn check_any(text: &str, tree: Option<&Value>) {
    let read = Message::read(text.to_owned());
    assert_eq!(read.text, text);
    if let Some(tree) = tree {
        let id = read.id.as_deref().map(serde_json::from_str::<Value>);
        assert_eq!(id.transpose().ok().flatten().as_ref(), tree.get("id"));
        assert_eq!(is_object(text), tree.is_object());
    }
    assert!(is_json(text) || (read.told == Told::Other && !is_object(text)));
    if let Some(messages) = split_batch(text) {
        assert!(messages.count() <= text.len() && is_json(text));
    }
}

/// Requests with any text for names, ids and, where it is JSON, data.
pub(super) fn check_requests(text: &str) {
    let id = Value::from(text).to_string();
    for since in [None, Some((None, 7)), Some((Some(Epoch(7)), u64::MAX))] {
        let expected = ClientMessage::Join {
            room: text.into(),
            since: since.map(|(epoch, after)| Since { epoch, after }),
        };
        check_written(&join(text, since, text), Some(&id), &expected);
    }
    let expected = ClientMessage::Leave { room: text.into() };
    check_written(&leave(text, text), Some(&id), &expected);
    let expected = ClientMessage::Ping { timestamp: None };
    check_written(&ping(text), Some(&id), &expected);
    let former = |after| Former {
        client: client(),
        secret: SessionSecret([7; SessionSecret::BYTES]),
        after,
    };
    for former in [None, Some(former(None)), Some(former(Some(7)))] {
        let expected = ClientMessage::Resume { former };
        check_written(&resume(former.as_ref(), text), Some(&id), &expected);
    }
    check_said(text);
    check_with_id(text, &id);
}

/// What is said is said in these words.
fn check_said(text: &str) {
    let written = |content: Content| match content {
        Content::Request(request) => request,
        other => panic!("{other:?}"),
    };
    let message = |data| ClientMessage::RoomMessage {
        room: text.into(),
        data,
        terms: Default::default(),
    };
    let request = written(Content::say_bytes(text, text.as_bytes()));
    let bytes = Data::Bytes(text.as_bytes().into());
    check_written(&request, None, &message(bytes));
    let said = Content::say(text, text).map(written);
    let told = Content::tell(client(), text).map(written);
    assert_eq!(
        (said.is_some(), told.is_some()),
        (is_json(text), is_json(text))
    );
    let (Some(said), Some(told)) = (said, told) else {
        return;
    };
    let data = || Data::Json(text.trim_ascii());
    check_written(&said, None, &message(data()));
    let private = ClientMessage::PrivateMessage {
        to: Some(client()),
        data: data(),
        terms: Default::default(),
    };
    check_written(&told, None, &private);
    let all = [said.as_str(), &told];
    let batch = batch(all.into_iter());
    assert_eq!(batch.len(), BATCH_BYTES + said.len() + told.len() + 1);
    let split = split_batch(&batch).expect("a batch");
    assert_eq!(split.collect::<Vec<_>>(), all);
    let messages = &batch[batch.find('[').expect("an array")..batch.len() - 1];
    let messages = Messages::Json(messages);
    check_written(&batch, None, &ClientMessage::Batch { messages });
}

/// Any object takes an id, and nothing else changes.
fn check_with_id(text: &str, id: &str) {
    let named = with_id(text, text);
    assert_eq!(named.is_some(), is_object(text));
    let Some(named) = named else {
        return;
    };
    assert_eq!(Message::read(named.clone()).id.as_deref(), Some(id));
    if let (Ok(mut before), Ok(after)) = (
        serde_json::from_str::<Value>(text),
        serde_json::from_str::<Value>(&named),
    ) {
        before["id"] = serde_json::from_str(id).expect("a string");
        assert_eq!(before, after);
    }
}

fn check_written(request: &str, id: Option<&str>, expected: &ClientMessage<'_>) {
    let limits = JsonLimits::from(&Limits {
        max_json_depth: u32::MAX,
        max_json_fields: u32::MAX,
        max_id_bytes: usize::MAX,
        max_batch_messages: 2,
        ..Limits::default()
    });
    let read = decode(request, &limits, &|_| false);
    let Ok(Request { asked, message }) = read else {
        panic!("{request}: {read:?}");
    };
    assert_eq!((id_of(asked), &message), (id, expected), "{request}");
}

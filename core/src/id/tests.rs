use proptest::prelude::*;

use super::*;

proptest! {
    #[test]
    fn a_connection_id_fits_a_number(
        bits in any::<u64>(),
        shard in any::<u8>(),
        index in 0..ConnectionId::MAX_SLOTS,
        generation in 1..=u32::MAX,
    ) {
        let generation_of = NonZeroU32::new(generation).unwrap_or(NonZeroU32::MIN);
        let id = ConnectionId::new(ShardId(shard), index, generation_of);
        prop_assert_eq!(ConnectionId::from_bits(id.to_bits()), Some(id));
        let parts = (id.shard().0, id.index(), id.generation().get());
        prop_assert_eq!(parts, (shard, index, generation));
        let text = match shard {
            0 => format!("{index}.{generation}"),
            shard => format!("{shard}:{index}.{generation}"),
        };
        prop_assert_eq!(id.to_string(), text);
        match ConnectionId::from_bits(bits) {
            Some(id) => prop_assert_eq!(id.to_bits(), bits),
            None => prop_assert_eq!(bits >> 32, 0),
        }
    }

    #[test]
    fn a_client_id_is_read_as_it_is_written(bytes in any::<[u8; 18]>()) {
        let id = ClientId::encode(&bytes);
        let text = id.as_str();
        prop_assert_eq!(text.len(), ClientId::LEN);
        let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-' || byte == b'_';
        prop_assert!(text.starts_with("client_") && text.bytes().all(plain));
        prop_assert_eq!(ClientId::decode(text), Some(bytes));
        prop_assert_eq!(ClientId::parse(text), Some(id));
        prop_assert_eq!(format!("{id} {id:?}"), format!("{text} {text}"));
    }

    /// Each text is one id's or none's, and ids sort as their texts do.
    #[test]
    fn no_two_texts_are_one_client_id(text in "(client_)?[A-Za-z0-9_=+/é-]{20,26}", bytes in any::<[u8; 18]>()) {
        let other = ClientId::encode(&bytes);
        if let Some(id) = ClientId::parse(&text) {
            prop_assert_eq!(id.as_str(), text.as_str());
            prop_assert_eq!(id.cmp(&other), text.as_str().cmp(other.as_str()));
        } else {
            prop_assert_eq!(ClientId::decode(&text), None);
        }
    }
}

#[test]
fn what_is_no_client_id_is_refused() {
    let good = ClientId::encode(&[0xFF; 18]);
    assert_eq!(good.as_str(), "client_________________________");
    for bad in [
        "",
        "client_",
        "client_AAAAAAAAAAAAAAAAAAAAAAA",
        "client_AAAAAAAAAAAAAAAAAAAAAAAAA",
        "client_AAAAAAAAAAAAAAAAAAAAAAA=",
        "client_AAAAAAAAAAAAAAAAAAAAAAA+",
        "client_AAAAAAAAAAAAAAAAAAAAAAé",
        "Client_AAAAAAAAAAAAAAAAAAAAAAAA",
        " client_AAAAAAAAAAAAAAAAAAAAAAAA",
    ] {
        assert_eq!(ClientId::parse(bad), None, "{bad}");
    }
}

use super::*;

#[test]
fn a_manager_is_told_at_a_path() {
    let path = env::temp_dir().join(format!("roomwire-{}-notify", std::process::id()));
    let manager = UnixDatagram::bind(&path).expect("a socket");
    send(path.as_os_str(), "READY=1").expect("sent");
    let mut bytes = [0; 32];
    let count = manager.recv(&mut bytes).expect("told");
    assert_eq!(&bytes[..count], b"READY=1");
    std::fs::remove_file(&path).expect("there");
    send(path.as_os_str(), "READY=1").expect_err("nobody listens");
}

#[cfg(target_os = "linux")]
#[test]
fn a_manager_is_told_at_an_abstract_name() {
    use std::os::linux::net::SocketAddrExt;
    use std::os::unix::net::SocketAddr;
    let name = format!("roomwire-{}-notify", std::process::id());
    let address = SocketAddr::from_abstract_name(&name).expect("a name");
    let manager = UnixDatagram::bind_addr(&address).expect("a socket");
    send(OsStr::new(&format!("@{name}")), "STOPPING=1").expect("sent");
    let mut bytes = [0; 32];
    let count = manager.recv(&mut bytes).expect("told");
    assert_eq!(&bytes[..count], b"STOPPING=1");
}

#[test]
fn nothing_is_inherited_without_a_manager() {
    assert_eq!(inherited_count(), 0);
    let error = inherited(0).expect_err("none");
    assert_eq!(error.kind(), io::ErrorKind::NotFound);
}

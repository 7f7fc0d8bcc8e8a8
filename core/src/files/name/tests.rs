use super::*;

// covers A6-06
#[test]
fn a_name_is_no_path_and_shows_what_it_is() {
    for (name, shown) in [
        ("cat.png", "cat.png"),
        ("/etc/passwd", "passwd"),
        ("..\\..\\boot.ini", "boot.ini"),
        ("a/b/", "file"),
        ("..", "file"),
        (".", "file"),
        ("", "file"),
        (".bashrc", "bashrc"),
        ("C:\\x\\y.txt", "y.txt"),
        ("evil\u{202E}gnp.exe", "evilgnp.exe"),
        ("a\0b\nc\u{7F}\u{9B}d", "abcd"),
        ("two words. ", "two words"),
        ("h\u{E9}llo \u{1F600}.txt", "h\u{E9}llo \u{1F600}.txt"),
    ] {
        assert_eq!(display_name(name), shown, "{name:?}");
    }
}

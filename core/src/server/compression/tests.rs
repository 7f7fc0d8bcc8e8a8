use super::*;

/// Whoever agreed on a window is never sent what refers back farther.
#[test]
fn seven_windows_are_served_by_three() {
    let served = Window::ALL.map(served);
    assert!(
        served
            .iter()
            .zip(Window::ALL)
            .all(|(&it, agreed)| it <= agreed)
    );
    assert_eq!(served.map(Window::bits), [9, 9, 9, 12, 12, 12, 15]);
}

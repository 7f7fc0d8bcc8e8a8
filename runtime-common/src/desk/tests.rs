//! What the tests of answers need to see.

use super::*;

impl<C> Desk<C> {
    /// The commands that have come back since the last call.
    pub(crate) fn take_commands(&self) -> Vec<C> {
        let all = std::mem::take(&mut self.tray.queue().returned);
        let commands = all.into_iter().filter_map(|returned| match returned {
            Returned::Command(command) => Some(command),
            Returned::Done(_) => None,
        });
        commands.collect()
    }
}

#[test]
fn a_desk_without_a_pool_tells_of_none() {
    let (bell, _ear) = Bell::new().expect("a bell");
    let bell = Arc::new(bell);
    let without: Desk<()> = Desk::new(None, &bell, 7);
    assert!(without.next_input::<()>().is_none());
    let with: Desk<()> = Desk::new(Some(Arc::new(Pool::new("pool", 1))), &bell, 7);
    let told = with.next_input::<()>();
    assert!(matches!(told, Some(Input::PoolReady { jobs: 7 })));
    assert!(with.next_input::<()>().is_none());
    with.tray().put(Returned::Command(()));
    assert!(matches!(with.next_input::<()>(), Some(Input::Command(()))));
    assert!(with.next_input::<()>().is_none());
}

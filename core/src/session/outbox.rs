//! Send queues.

/// The queued slices of one connection.
#[derive(Clone, Debug)]
pub(crate) struct Slices<'a>(&'a [u8]);

impl<'a> Iterator for Slices<'a> {
    type Item = &'a [u8];
    fn next(&mut self) -> Option<&'a [u8]> {
        (!self.0.is_empty()).then(|| core::mem::take(&mut self.0))
    }
}

//! Numbered elements in the order of a key: a binary heap that knows where each element is.

/// Each element is in it at most once. Of equal keys, the smaller number comes first. All but
/// [`first`](Self::first), which is O(1), are O(log elements); adding the largest key is O(1).
#[derive(Debug, Default)]
pub(super) struct Order {
    /// No element is before its parent, which is at half its place.
    heap: Vec<(u64, u32)>,
    /// Where each element is in the heap, [`NOWHERE`] if it is not.
    places: Vec<u32>,
}

impl Order {
    pub(super) fn first(&self) -> Option<(u64, u32)> {
        self.heap.first().copied()
    }

    pub(super) fn len(&self) -> u32 {
        u32::try_from(self.heap.len()).unwrap_or(u32::MAX)
    }

    pub(super) fn is_empty(&self) -> bool {
        self.heap.is_empty()
    }

    pub(super) fn contains(&self, element: u32) -> bool {
        self.place(element).is_some()
    }

    /// Puts `element` in, which may be there with another key.
    pub(super) fn set(&mut self, element: u32, key: u64) {
        self.remove(element);
        if self.places.len() <= element as usize {
            self.places.resize(element as usize + 1, NOWHERE);
        }
        self.heap.push((key, element));
        self.rise(self.heap.len() - 1);
    }

    /// Takes `element` out: its key, if it was there.
    pub(super) fn remove(&mut self, element: u32) -> Option<u64> {
        let place = self.place(element)?;
        let (key, _) = self.heap.swap_remove(place);
        self.places[element as usize] = NOWHERE;
        if place < self.heap.len() {
            self.rise(place);
            self.sink(place);
        }
        Some(key)
    }

    pub(super) fn heap_bytes(&self) -> usize {
        self.heap.capacity() * size_of::<(u64, u32)>() + self.places.capacity() * size_of::<u32>()
    }

    fn place(&self, element: u32) -> Option<usize> {
        let place = *self.places.get(element as usize)?;
        (place != NOWHERE).then_some(place as usize)
    }

    /// Moves what is at `place` up to where its parent is before it.
    fn rise(&mut self, mut place: usize) {
        while place > 0 && self.heap[place] < self.heap[(place - 1) / 2] {
            self.heap.swap(place, (place - 1) / 2);
            self.note(place);
            place = (place - 1) / 2;
        }
        self.note(place);
    }

    /// Moves what is at `place` down to where it is before its children.
    fn sink(&mut self, mut place: usize) {
        loop {
            let children = 2 * place + 1..(2 * place + 3).min(self.heap.len());
            let Some(least) = children.min_by_key(|&child| self.heap[child]) else {
                return;
            };
            if self.heap[place] < self.heap[least] {
                return;
            }
            self.heap.swap(place, least);
            self.note(place);
            self.note(least);
            place = least;
        }
    }

    fn note(&mut self, place: usize) {
        let (_, element) = self.heap[place];
        self.places[element as usize] = place as u32;
    }
}

const NOWHERE: u32 = u32::MAX;

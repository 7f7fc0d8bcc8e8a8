//! Doubly linked lists threaded through a table: each element is in at most one list, knows its neighbours
//! by index, and leaves in O(1). No allocation per link.

#[cfg(test)]
mod tests;

use crate::session::NONE;

/// The links of every element.
#[derive(Debug, Default)]
pub(crate) struct Links {
    links: Vec<Link>,
}

/// One list over the elements.
#[derive(Clone, Copy, Debug)]
pub(crate) struct List {
    head: u32,
    tail: u32,
}

#[derive(Clone, Copy, Debug)]
struct Link {
    previous: u32,
    next: u32,
}

impl List {
    pub(crate) const EMPTY: Self = Self {
        head: NONE,
        tail: NONE,
    };

    /// The element that was put in first.
    pub(crate) fn front(self) -> Option<u32> {
        (self.head != NONE).then_some(self.head)
    }
}

impl Links {
    /// Makes room for elements up to `index`.
    pub(crate) fn reserve(&mut self, index: u32) {
        if self.links.len() <= index as usize {
            let unlinked = Link {
                previous: NONE,
                next: NONE,
            };
            self.links.resize(index as usize + 1, unlinked);
        }
    }

    /// Memory of the links.
    pub(crate) fn heap_bytes(&self) -> usize {
        self.links.capacity() * size_of::<Link>()
    }

    /// Appends `element`, which must be in no list.
    pub(crate) fn push_back(&mut self, list: &mut List, element: u32) {
        self.links[element as usize] = Link {
            previous: list.tail,
            next: NONE,
        };
        match list.tail {
            NONE => list.head = element,
            tail => self.links[tail as usize].next = element,
        }
        list.tail = element;
    }

    /// Takes `element`, which must be in `list`, out of it.
    pub(crate) fn remove(&mut self, list: &mut List, element: u32) {
        let Link { previous, next } = self.links[element as usize];
        match previous {
            NONE => list.head = next,
            previous => self.links[previous as usize].next = next,
        }
        match next {
            NONE => list.tail = previous,
            next => self.links[next as usize].previous = previous,
        }
    }
}

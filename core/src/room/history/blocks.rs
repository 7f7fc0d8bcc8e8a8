//! Messages in the order of their offsets, in blocks: wherever one is taken out, no more than a block is moved.
//!
//! They only come at the end, so that blocks are full but for the last. Where some are taken out, neighbours that fit
//! into one block become one: any two of them have more than fits into one, but for what leaves in front.

#[cfg(test)]
mod tests;

use std::collections::VecDeque;

use super::Past;

/// The messages.
#[derive(Debug, Default)]
pub(super) struct Blocks {
    /// None is empty.
    blocks: VecDeque<VecDeque<Past>>,
    len: usize,
}

impl Blocks {
    /// O(1), as are those up to [`pop`](Self::pop).
    pub(super) const fn len(&self) -> usize {
        self.len
    }

    pub(super) const fn is_empty(&self) -> bool {
        self.len == 0
    }

    pub(super) fn first(&self) -> Option<&Past> {
        self.blocks.front()?.front()
    }

    /// Puts one last; its offset is the largest.
    pub(super) fn push(&mut self, past: Past) {
        self.len += 1;
        match self.blocks.back_mut() {
            Some(block) if block.len() < BLOCK => block.push_back(past),
            // Where there is one already, the next one will be full, too.
            last => {
                let mut block = VecDeque::with_capacity(if last.is_some() { BLOCK } else { 1 });
                block.push_back(past);
                self.blocks.push_back(block);
            }
        }
    }

    /// Takes the first.
    pub(super) fn pop(&mut self) -> Option<Past> {
        let block = self.blocks.front_mut()?;
        let past = block.pop_front()?;
        if block.is_empty() {
            self.blocks.pop_front();
        }
        self.has_lost_one();
        Some(past)
    }

    /// Takes the one with an offset, if there is one. O(log n), and O(blocks) for each block that goes.
    pub(super) fn take(&mut self, offset: u64) -> Option<Past> {
        let at = self.block_after(offset.checked_sub(1)?);
        let block = self.blocks.get_mut(at)?;
        let found = block.binary_search_by_key(&offset, |past| past.offset);
        let past = block.remove(found.ok()?)?;
        if block.is_empty() {
            self.blocks.remove(at);
        } else if !self.join(at) && at > 0 {
            self.join(at - 1);
        }
        self.has_lost_one();
        Some(past)
    }

    /// Makes a block and the next one, if there is one, a single one where they fit; whether they did.
    fn join(&mut self, at: usize) -> bool {
        let len = |at: usize| self.blocks.get(at).map(VecDeque::len);
        let fit =
            matches!((len(at), len(at + 1)), (Some(one), Some(other)) if one + other <= BLOCK);
        if fit
            && let Some(mut next) = self.blocks.remove(at + 1)
            && let Some(block) = self.blocks.get_mut(at)
        {
            block.append(&mut next);
        }
        fit
    }

    fn has_lost_one(&mut self) {
        self.len -= 1;
        if self.is_empty() {
            *self = Self::default();
        }
    }

    /// Those after an offset, in order. O(log n) to begin with.
    pub(super) fn after(&self, offset: u64) -> impl DoubleEndedIterator<Item = &Past> {
        let (at, within) = self.place_after(offset);
        let first = self.blocks.get(at).into_iter();
        let others = self.blocks.range((at + 1).min(self.blocks.len())..);
        first
            .flat_map(move |block| block.range(within..))
            .chain(others.flatten())
    }

    /// Those up to an offset, in order. O(log n) to begin with.
    pub(super) fn upto(&self, offset: u64) -> impl DoubleEndedIterator<Item = &Past> {
        let (at, within) = self.place_after(offset);
        let last = self.blocks.get(at).into_iter();
        let others = self.blocks.range(..at);
        others
            .flatten()
            .chain(last.flat_map(move |block| block.range(..within)))
    }

    /// How many there are after an offset. O(log n), and one step for a block of them.
    pub(super) fn count_after(&self, offset: u64) -> usize {
        let (at, within) = self.place_after(offset);
        self.blocks.range(at..).map(VecDeque::len).sum::<usize>() - within
    }

    /// The block with the first one after an offset, and where in it that is.
    fn place_after(&self, offset: u64) -> (usize, usize) {
        let at = self.block_after(offset);
        let block = self.blocks.get(at);
        let within = block.map_or(0, |it| it.partition_point(|past| past.offset <= offset));
        (at, within)
    }

    fn block_after(&self, offset: u64) -> usize {
        let is_before = |block: &VecDeque<Past>| block.back().is_some_and(|it| it.offset <= offset);
        self.blocks.partition_point(is_before)
    }

    /// Memory of room for more. O(blocks): for diagnosis.
    pub(super) fn spare_bytes(&self) -> usize {
        let spare = |block: &VecDeque<Past>| block.capacity() - block.len();
        let spare: usize = self.blocks.iter().map(spare).sum();
        spare * size_of::<Past>() + self.blocks.capacity() * size_of::<VecDeque<Past>>()
    }
}

/// How many there are in a block.
const BLOCK: usize = 64;

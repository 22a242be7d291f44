//! Entries with handles that know when their entry is gone.

/// Names one entry of a [`Slab`], and no later one in the same place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Handle {
    index: u32,
    generation: u32,
}

/// A vector with free places. Places are reused last-freed first, so the layout depends on the run alone.
#[derive(Debug)]
pub(super) struct Slab<T> {
    places: Vec<(u32, Option<T>)>,
    free: Vec<u32>,
}

impl<T> Default for Slab<T> {
    fn default() -> Self {
        Self { places: Vec::new(), free: Vec::new() }
    }
}

impl<T> Slab<T> {
    pub(super) fn insert(&mut self, value: T) -> Handle {
        let index = self.free.pop().unwrap_or_else(|| {
            self.places.push((0, None));
            self.places.len() as u32 - 1
        });
        let (generation, place) = &mut self.places[index as usize];
        *place = Some(value);
        Handle { index, generation: *generation }
    }

    pub(super) fn get_mut(&mut self, handle: Handle) -> Option<&mut T> {
        let (generation, place) = self.places.get_mut(handle.index as usize)?;
        if *generation == handle.generation { place.as_mut() } else { None }
    }

    pub(super) fn remove(&mut self, handle: Handle) -> Option<T> {
        let (generation, place) = self.places.get_mut(handle.index as usize)?;
        if *generation != handle.generation {
            return None;
        }
        let value = place.take()?;
        *generation = generation.wrapping_add(1);
        self.free.push(handle.index);
        Some(value)
    }

    /// How many entries there are.
    pub(super) fn len(&self) -> usize {
        self.places.len() - self.free.len()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_handle_does_not_reach_the_next_tenant() {
        let mut slab = Slab::default();
        let first = slab.insert('a');
        assert_eq!(slab.remove(first), Some('a'));
        let second = slab.insert('b');
        assert_eq!(slab.get_mut(first), None);
        assert_eq!(slab.remove(first), None);
        assert_eq!(slab.get_mut(second), Some(&mut 'b'));
        assert_eq!(slab.len(), 1);
    }
}

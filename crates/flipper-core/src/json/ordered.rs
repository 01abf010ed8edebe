//! A map in order of first insertion, as Python's `dict`.

use std::collections::HashMap;
use std::hash::Hash;

/// Collects entries as a Python `dict` does: a key that comes again keeps its place and takes the new value.
///
/// Few keys are compared one by one; from [`INDEX_FROM`](Self::INDEX_FROM) keys on there is an index, so that a
/// hostile record cannot make the work quadratic.
pub(crate) struct Ordered<K, V> {
    entries: Vec<(K, V)>,
    index: Option<HashMap<K, usize>>,
}

impl<K: Eq + Hash + Clone, V> Ordered<K, V> {
    const INDEX_FROM: usize = 24;

    pub(crate) fn with_capacity(capacity: usize) -> Self {
        Self { entries: Vec::with_capacity(capacity), index: None }
    }

    pub(crate) fn insert(&mut self, key: K, value: V) {
        match self.position(&key) {
            Some(at) => self.entries[at].1 = value,
            None => self.push(key, value),
        }
    }

    /// Returns the value of a key, which is put in last if it is new.
    pub(crate) fn entry_or_default(&mut self, key: K) -> &mut V
    where
        V: Default,
    {
        let at = self.position(&key).unwrap_or_else(|| {
            self.push(key, V::default());
            self.entries.len() - 1
        });
        &mut self.entries[at].1
    }

    fn position(&self, key: &K) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.entries.iter().position(|(known, _)| known == key),
        }
    }

    fn push(&mut self, key: K, value: V) {
        if let Some(index) = &mut self.index {
            index.insert(key.clone(), self.entries.len());
        }
        self.entries.push((key, value));
        if self.index.is_none() && self.entries.len() >= Self::INDEX_FROM {
            self.index =
                Some(self.entries.iter().enumerate().map(|(at, (key, _))| (key.clone(), at)).collect());
        }
    }

    pub(crate) fn into_entries(self) -> Vec<(K, V)> {
        self.entries
    }

    /// Empties the map, to be filled again without a new allocation.
    pub(crate) fn drain(&mut self) -> std::vec::Drain<'_, (K, V)> {
        self.index = None;
        self.entries.drain(..)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn last_value_at_the_first_place_with_and_without_an_index() {
        for keys in [3, 1000] {
            let mut map = Ordered::with_capacity(0);
            for key in (0..keys).chain(0..keys) {
                map.insert(key, ());
                *map.entry_or_default(key) = ();
            }
            let mut values = Ordered::with_capacity(0);
            for round in 0..3 {
                for key in 0..keys {
                    values.insert(key, round);
                }
            }
            assert_eq!(map.into_entries().len(), keys);
            assert_eq!(values.into_entries(), (0..keys).map(|key| (key, 2)).collect::<Vec<_>>());
        }
    }
}

//! A map that never stops for long. A table that is full moves everything into a larger one at once; with a hundred thousand
//! answers that takes some hundred milliseconds, in which nobody is answered. So there are many small tables, each of which
//! grows by itself, and never all at the same call.

use std::{
    borrow::Borrow,
    collections::HashMap,
    hash::{BuildHasher, Hash, RandomState},
};

/// As many that each moves within a millisecond.
const TABLES: usize = 128;

/// Keys and values, spread over many tables by the hash of the key.
#[derive(Debug)]
pub(super) struct Spread<K, V> {
    tables: Box<[HashMap<K, V>]>,
    by: RandomState,
    len: usize,
}

impl<K, V> Default for Spread<K, V> {
    fn default() -> Self {
        Self {
            tables: (0..TABLES).map(|_| HashMap::new()).collect(),
            by: RandomState::new(),
            len: 0,
        }
    }
}

impl<K: Hash + Eq, V> Spread<K, V> {
    fn place<Q: Hash + ?Sized>(&self, key: &Q) -> usize {
        let hash = self.by.hash_one(key) % TABLES as u64;
        usize::try_from(hash).unwrap_or_default()
    }

    fn table<Q: Hash + ?Sized>(&self, key: &Q) -> Option<&HashMap<K, V>> {
        self.tables.get(self.place(key))
    }

    fn table_mut<Q: Hash + ?Sized>(&mut self, key: &Q) -> Option<&mut HashMap<K, V>> {
        let place = self.place(key);
        self.tables.get_mut(place)
    }

    pub(super) fn len(&self) -> usize {
        self.len
    }

    pub(super) fn get<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<&V>
    where
        K: Borrow<Q>,
    {
        self.table(key)?.get(key)
    }

    pub(super) fn get_key_value<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> Option<(&K, &V)>
    where
        K: Borrow<Q>,
    {
        self.table(key)?.get_key_value(key)
    }

    pub(super) fn get_mut<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<&mut V>
    where
        K: Borrow<Q>,
    {
        self.table_mut(key)?.get_mut(key)
    }

    pub(super) fn contains_key<Q: Hash + Eq + ?Sized>(&self, key: &Q) -> bool
    where
        K: Borrow<Q>,
    {
        self.get(key).is_some()
    }

    pub(super) fn insert(&mut self, key: K, value: V) -> Option<V> {
        let old = self.table_mut(&key)?.insert(key, value);
        self.len += usize::from(old.is_none());
        old
    }

    pub(super) fn remove<Q: Hash + Eq + ?Sized>(&mut self, key: &Q) -> Option<V>
    where
        K: Borrow<Q>,
    {
        let old = self.table_mut(key)?.remove(key);
        self.len -= usize::from(old.is_some());
        old
    }

    pub(super) fn values(&self) -> impl Iterator<Item = &V> {
        self.tables.iter().flat_map(HashMap::values)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_a_map_and_no_table_of_it_holds_much() {
        let mut map = Spread::default();
        for n in 0..20_000_u32 {
            assert_eq!(map.insert(n.to_string(), n), None);
        }
        assert_eq!(map.insert("7".to_owned(), 8), Some(7));
        assert_eq!((map.len(), map.values().count()), (20_000, 20_000));
        *map.get_mut("9").unwrap() = 10;
        assert_eq!(
            (map.get("7"), map.get("9"), map.get("x")),
            (Some(&8), Some(&10), None)
        );
        assert!(map.contains_key("19999"));
        assert_eq!(map.get_key_value("5"), Some((&"5".to_owned(), &5)));
        let most = map.tables.iter().map(HashMap::len).max().unwrap();
        assert!(most < 20_000 / TABLES * 2, "{most}");
        for n in 0..20_000_u32 {
            assert!(map.remove(n.to_string().as_str()).is_some());
        }
        assert_eq!(
            (map.remove("1"), map.len(), map.values().count()),
            (None, 0, 0)
        );
    }
}

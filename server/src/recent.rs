//! A bounded map of what was used lately.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

/// Keeps between `generation` and twice as many of the values used last. What is forgotten is made anew by its user.
///
/// Two generations instead of a list in order of use: a hit costs one or two look-ups and never moves a chain of pointers.
#[derive(Debug)]
pub struct Recent<K, V> {
    generation: usize,
    maps: Mutex<Generations<K, V>>,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, V>,
    old: HashMap<K, V>,
}

impl<K: Eq + Hash + Copy, V: Clone> Recent<K, V> {
    /// An empty map.
    #[must_use]
    pub fn new(generation: usize) -> Self {
        Self { generation, maps: Mutex::new(Generations { young: HashMap::new(), old: HashMap::new() }) }
    }

    /// The value of a key, if it was used lately.
    pub fn find(&self, key: &K) -> Option<V> {
        let mut maps = self.maps.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some(value) = maps.young.get(key) {
            return Some(value.clone());
        }
        let value = maps.old.remove(key)?;
        Self::insert(&mut maps, self.generation, *key, value.clone());
        Some(value)
    }

    /// Keeps a value.
    pub fn keep(&self, key: K, value: V) {
        let mut maps = self.maps.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Self::insert(&mut maps, self.generation, key, value);
    }

    fn insert(maps: &mut Generations<K, V>, generation: usize, key: K, value: V) {
        if maps.young.len() >= generation {
            maps.old = std::mem::take(&mut maps.young);
        }
        maps.young.insert(key, value);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn holds_no_more_than_two_generations_and_keeps_what_is_used() {
        let recent = Recent::new(10);
        for key in 0..1000 {
            recent.keep(key, key);
            assert_eq!(recent.find(&0), Some(0));
        }
        let maps = recent.maps.lock().unwrap();
        assert!(maps.young.len() + maps.old.len() <= 20);
    }
}

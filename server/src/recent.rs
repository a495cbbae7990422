//! A bounded map of what was used lately.

use std::collections::HashMap;
use std::hash::Hash;
use std::sync::Mutex;

/// Keeps values used last that weigh between `generation` and twice as much together, and whatever was kept last. What is
/// forgotten is made anew by its user.
///
/// Two generations instead of a list in order of use: a hit costs one or two look-ups and never moves a chain of pointers.
#[derive(Debug)]
pub struct Recent<K, V> {
    generation: usize,
    maps: Mutex<Generations<K, V>>,
}

#[derive(Debug)]
struct Generations<K, V> {
    young: HashMap<K, (V, usize)>,
    old: HashMap<K, (V, usize)>,
    weight: usize,
}

impl<K: Eq + Hash + Copy, V: Clone> Recent<K, V> {
    /// An empty map.
    #[must_use]
    pub fn new(generation: usize) -> Self {
        Self { generation, maps: Mutex::new(Generations { young: HashMap::new(), old: HashMap::new(), weight: 0 }) }
    }

    /// The value of a key, if it was used lately.
    pub fn find(&self, key: &K) -> Option<V> {
        let mut maps = self.maps.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        if let Some((value, _)) = maps.young.get(key) {
            return Some(value.clone());
        }
        let (value, weight) = maps.old.remove(key)?;
        Self::insert(&mut maps, self.generation, *key, (value.clone(), weight));
        Some(value)
    }

    /// Keeps a value, whose weight is one.
    pub fn keep(&self, key: K, value: V) {
        self.keep_weighing(key, value, 1);
    }

    /// Keeps a value of some weight.
    pub fn keep_weighing(&self, key: K, value: V, weight: usize) {
        let mut maps = self.maps.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
        Self::insert(&mut maps, self.generation, key, (value, weight));
    }

    fn insert(maps: &mut Generations<K, V>, generation: usize, key: K, value: (V, usize)) {
        if maps.weight >= generation {
            maps.old = std::mem::take(&mut maps.young);
            maps.weight = 0;
        }
        maps.weight += value.1;
        if let Some((_, replaced)) = maps.young.insert(key, value) {
            maps.weight -= replaced;
        }
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

    #[test]
    fn heavy_values_count_for_more_and_the_last_is_kept_whatever_it_weighs() {
        let recent = Recent::new(10);
        for key in 0..100 {
            recent.keep_weighing(key, key, 5);
        }
        let maps = recent.maps.lock().unwrap();
        assert!(maps.young.len() + maps.old.len() <= 4);
        drop(maps);
        recent.keep_weighing(100, 100, 1000);
        assert_eq!(recent.find(&100), Some(100));
    }
}

//! The table of flags: an extendible hash table whose parts are copied when they are written to.
//!
//! A directory of 2^n pointers leads to *shards* of at most [`FULL`] flags each. A write copies the one shard that it is
//! about and the directory, and never the whole: a full shard splits in two, and at most the directory doubles
//! (R. Fagin et al., "Extendible hashing", ACM TODS 4(3), 1979, <https://doi.org/10.1145/320083.320092>). As long as
//! all flags fit into one shard, there is one.

use std::hash::{BuildHasher, Hasher, RandomState};
use std::sync::Arc;

use foldhash::fast::FixedState;
use hashbrown::HashTable;

use super::bucket::Bucket;
use crate::{Flag, Versioned};

/// How many flags a shard holds before it splits: what 256 slots hold without growing. Copying so many takes as long as
/// copying the directory of 100,000 flags, and to split them takes two or three times as long.
pub(super) const FULL: usize = 224;

/// How often a shard can split. Beyond, it grows: names whose hashes agree in so many bits are no accident.
const DEEPEST: u32 = 16;

/// Where the bits of a hash begin that choose the shard. Those below choose a slot within the shard, and the seven
/// highest are kept beside the slot.
const SHARD_BITS: u32 = 32;

#[derive(Clone)]
pub(super) struct Shard {
    /// How many bits of the hash all flags of the shard share.
    depth: u32,
    buckets: HashTable<Bucket>,
}

/// Chooses a hash function: one of its own for each snapshot, so that names that collide in one do not in another. Whoever
/// makes them collide all the same gets a long search, and a directory of limited size.
#[derive(Clone, Copy)]
pub(crate) struct Seed(u64);

impl Seed {
    pub(crate) fn random() -> Self {
        // Not from the thread's generator, which an application may have seeded.
        Self(RandomState::new().hash_one(0))
    }

    /// Hashes a name by one write, which is what `str` does not.
    #[inline]
    pub(crate) fn hash(self, name: &[u8]) -> u64 {
        let mut hasher = FixedState::with_seed(self.0).build_hasher();
        hasher.write(name);
        hasher.finish()
    }
}

#[inline]
fn place(hash: u64, shards: usize) -> usize {
    (hash >> SHARD_BITS) as usize & (shards - 1)
}

/// Looks a flag up in a directory.
#[inline(always)]
pub(super) fn find<'t>(shards: &'t [Arc<Shard>], hash: u64, name: &str) -> Option<&'t Bucket> {
    let shard = shards.get(place(hash, shards.len()))?;
    shard.find(hash, name)
}

impl Shard {
    fn with_capacity(depth: u32, flags: usize) -> Self {
        Self { depth, buckets: HashTable::with_capacity(flags) }
    }

    /// Puts in a flag that is not there yet.
    fn insert(&mut self, hash: u64, bucket: Bucket, seed: Seed) {
        self.buckets.insert_unique(hash, bucket, |bucket| seed.hash(bucket.name()));
    }

    /// The names are compared after the search and not within, which keeps the search small.
    #[inline(always)]
    fn find(&self, hash: u64, name: &str) -> Option<&Bucket> {
        let found = self.buckets.find(hash, |bucket| bucket.may_be_of(hash))?;
        if found.is_of(name) { Some(found) } else { self.find_among_alike(hash, name) }
    }

    /// Looks among flags whose hashes are alike.
    #[cold]
    #[inline(never)]
    fn find_among_alike(&self, hash: u64, name: &str) -> Option<&Bucket> {
        self.buckets.find(hash, |bucket| bucket.is_of(name))
    }
}

/// All flags of a directory, each once.
pub(super) fn buckets(shards: &[Arc<Shard>]) -> impl Iterator<Item = &Bucket> {
    let is_first = |(at, shard): &(usize, &Arc<Shard>)| at >> shard.depth == 0;
    shards.iter().enumerate().filter(is_first).flat_map(|(_, shard)| shard.buckets.iter())
}

/// A directory that can be written to. What it shares with others is copied first.
pub(super) struct Directory {
    shards: Vec<Arc<Shard>>,
    seed: Seed,
    /// Stands in the place of a shard that is being written to, so that nobody else of this directory has it.
    vacant: Arc<Shard>,
}

impl Directory {
    /// Makes an empty directory for about so many flags.
    pub(super) fn with_capacity(seed: Seed, flags: usize) -> Self {
        let depth = flags.div_ceil(FULL).next_power_of_two().ilog2().min(DEEPEST);
        let flags = flags >> depth;
        let shard = || Arc::new(Shard::with_capacity(depth, flags));
        Self { shards: (0..1 << depth).map(|_| shard()).collect(), ..Self::of(seed, &[]) }
    }

    /// Makes a directory that is another's, as yet.
    pub(super) fn of(seed: Seed, shards: &[Arc<Shard>]) -> Self {
        let vacant = Arc::new(Shard::with_capacity(0, 0));
        Self { shards: shards.to_vec(), seed, vacant }
    }

    pub(super) fn into_shards(self) -> Arc<[Arc<Shard>]> {
        self.shards.into()
    }

    pub(super) fn find(&self, name: &str) -> Option<&Bucket> {
        find(&self.shards, self.seed.hash(name.as_bytes()), name)
    }

    /// Puts a flag in the place of that of its name, and returns whether there was none.
    pub(super) fn put(&mut self, record: Arc<Versioned<Flag>>) -> bool {
        let name = record.value.name();
        let hash = self.seed.hash(name.as_bytes());
        let mut shard = self.take(hash);
        if shard.find(hash, name).is_some() {
            let bucket = Bucket::new(record, hash);
            let buckets = &mut Arc::make_mut(&mut shard).buckets;
            if let Some(known) = buckets.find_mut(hash, |known| known.name() == bucket.name()) {
                *known = bucket;
            }
            self.restore(hash, &shard);
            return false;
        }
        while shard.buckets.len() >= FULL && shard.depth < DEEPEST {
            self.split(hash, &shard);
            shard = self.take(hash);
        }
        if shard.buckets.len() == shard.buckets.capacity() {
            // Copied into a larger table at once, not copied and then moved.
            let mut larger = Shard::with_capacity(shard.depth, (shard.buckets.len() + 1).next_power_of_two());
            for bucket in &shard.buckets {
                larger.insert(self.seed.hash(bucket.name()), bucket.clone(), self.seed);
            }
            shard = Arc::new(larger);
        }
        Arc::make_mut(&mut shard).insert(hash, Bucket::new(record, hash), self.seed);
        self.restore(hash, &shard);
        true
    }

    /// Takes a flag out, and returns whether there was one. Copies its shard in any case: look first.
    pub(super) fn remove(&mut self, name: &str) -> bool {
        let seed = self.seed;
        let hash = seed.hash(name.as_bytes());
        let mut shard = self.take(hash);
        let buckets = &mut Arc::make_mut(&mut shard).buckets;
        let found = buckets.find_entry(hash, |known| known.is_of(name));
        let is_found = found.map(|found| drop(found.remove())).is_ok();
        if buckets.len() < buckets.capacity() / 4 {
            buckets.shrink_to_fit(|bucket| seed.hash(bucket.name()));
        }
        self.restore(hash, &shard);
        is_found
    }

    /// Takes the shard of a hash out of all its places, so that it is copied only if somebody else has it.
    fn take(&mut self, hash: u64) -> Arc<Shard> {
        let vacant = Arc::clone(&self.vacant);
        let depth = self.shards[place(hash, self.shards.len())].depth;
        let mut places = places(&mut self.shards, hash, depth);
        let shard = places
            .next()
            .map_or_else(|| Arc::clone(&vacant), |place| std::mem::replace(place, Arc::clone(&vacant)));
        places.for_each(|place| *place = Arc::clone(&vacant));
        shard
    }

    fn restore(&mut self, hash: u64, shard: &Arc<Shard>) {
        places(&mut self.shards, hash, shard.depth).for_each(|place| *place = Arc::clone(shard));
    }

    /// Splits a shard that was taken out by one more bit of the hash.
    fn split(&mut self, hash: u64, shard: &Shard) {
        let bit = 1 << shard.depth;
        if bit == self.shards.len() {
            self.shards.extend_from_within(..);
        }
        let hashes: Vec<u64> = shard.buckets.iter().map(|bucket| self.seed.hash(bucket.name())).collect();
        let is_upper = |hash: u64| place(hash, bit * 2) & bit != 0;
        let upper = hashes.iter().filter(|hash| is_upper(**hash)).count();
        let half = |flags| Shard::with_capacity(shard.depth + 1, flags);
        let (mut lower, mut upper) = (half(hashes.len() - upper), half(upper));
        for (bucket, hash) in shard.buckets.iter().zip(hashes) {
            if is_upper(hash) { &mut upper } else { &mut lower }.insert(hash, bucket.clone(), self.seed);
        }
        let (lower, upper) = (Arc::new(lower), Arc::new(upper));
        let bit = 1 << (SHARD_BITS + shard.depth);
        self.restore(hash & !bit, &lower);
        self.restore(hash | bit, &upper);
    }
}

/// All places in a directory of the shard that a hash leads to.
fn places(shards: &mut [Arc<Shard>], hash: u64, depth: u32) -> impl Iterator<Item = &mut Arc<Shard>> {
    shards.iter_mut().skip(place(hash, 1 << depth)).step_by(1 << depth)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{FlagName, Timestamp, Version};

    fn record(name: &str) -> Arc<Versioned<Flag>> {
        let value = Flag::new(FlagName::new(name).unwrap(), Timestamp::from_secs(1));
        Arc::new(Versioned { value, version: Version::from_u64(1) })
    }

    #[test]
    fn names_whose_hashes_are_alike_are_told_apart() {
        let hash = 0x0123_4567_89ab_cdef;
        let long = "x".repeat(100);
        let mut shard = Shard::with_capacity(0, 4);
        for name in ["a", "b", &long] {
            shard.buckets.insert_unique(hash, Bucket::new(record(name), hash), |_| hash);
        }
        let shards = [Arc::new(shard)];
        for name in ["a", "b", &long] {
            assert_eq!(find(&shards, hash, name).map(Bucket::name), Some(name.as_bytes()));
        }
        for absent in ["c", "", &long[1..]] {
            assert!(find(&shards, hash, absent).is_none());
        }
    }

    #[test]
    fn a_directory_holds_each_flag_once_whatever_was_split() {
        let mut directory = Directory::with_capacity(Seed::random(), 0);
        let names: Vec<_> = (0..5_000).map(|at| format!("flag {at}")).collect();
        for name in &names {
            assert!(directory.put(record(name)));
            assert!(!directory.put(record(name)));
        }
        assert_eq!(buckets(&directory.shards).count(), names.len());
        assert!(directory.shards.len().is_power_of_two() && directory.shards.len() >= 16);
        for name in &names {
            assert!(directory.find(name).is_some() && directory.remove(name) && !directory.remove(name));
        }
        assert_eq!(buckets(&directory.shards).count(), 0);
    }
}

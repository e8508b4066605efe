//! How many events may wait for the authoriser at once. Each holds a connection of its caller, and those are what all tenants
//! share: without a bound, slow answers for a few tenants would take them all.
//!
//! A tenant may have as many waiting as there are places left for others. So one alone has half of them, two have a third
//! each, and whatever they do, some are left for whoever comes next.

use std::{
    collections::HashMap,
    sync::{Arc, Mutex},
};

use chiffon_common::TenantId;

use super::{Crowded, locked};

/// All of them.
#[derive(Debug)]
pub(super) struct Share {
    most: usize,
    taken: Arc<Mutex<Taken>>,
}

#[derive(Debug, Default)]
struct Taken {
    all: usize,
    by: HashMap<TenantId, usize>,
}

/// One that waits, until its answer is stored.
#[derive(Debug)]
pub(super) struct Waiting {
    taken: Arc<Mutex<Taken>>,
    tenant: TenantId,
}

impl Share {
    pub(super) fn of(most: usize) -> Self {
        Self {
            most,
            taken: Arc::default(),
        }
    }

    pub(super) fn take(&self, tenant: &TenantId) -> Result<Waiting, Crowded> {
        let mut taken = locked(&self.taken);
        let mine = taken.by.get(tenant).copied().unwrap_or_default();
        if mine >= self.most.saturating_sub(taken.all) {
            return Err(Crowded);
        }
        taken.all += 1;
        taken.by.insert(tenant.clone(), mine + 1);
        Ok(Waiting {
            taken: Arc::clone(&self.taken),
            tenant: tenant.clone(),
        })
    }
}

impl Drop for Waiting {
    fn drop(&mut self) {
        let mut taken = locked(&self.taken);
        taken.all = taken.all.saturating_sub(1);
        let left = taken.by.get(&self.tenant).map_or(0, |mine| mine - 1);
        match left {
            0 => drop(taken.by.remove(&self.tenant)),
            left => drop(taken.by.insert(self.tenant.clone(), left)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whatever_some_take_others_find_a_place() {
        let share = Share::of(48);
        let tenant = |name: &str| -> TenantId { name.parse().expect("a tenant") };
        let fill = |name: &str| -> Vec<Waiting> {
            let tenant = tenant(name);
            std::iter::from_fn(|| share.take(&tenant).ok()).collect()
        };
        let first = fill("a");
        assert_eq!(first.len(), 24);
        let second = fill("b");
        assert_eq!(second.len(), 12);
        let third = share.take(&tenant("c")).expect("there is one left");
        drop((first, second, third));
        assert_eq!(fill("b").len(), 24, "places are given back");
        assert!(locked(&share.taken).by.is_empty());
    }
}

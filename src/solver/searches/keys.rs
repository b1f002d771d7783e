//! Plans as random keys (Bean, "Genetic algorithms and random keys for sequencing and optimization", ORSA
//! Journal on Computing 6, 1994): numbers that may be mixed at will and still mean a plan.
//!
//! Each copy has two keys: one sorts the copies, the other names the mode, or leaves it to the preference of
//! the recipe.

use rand::{Rng, RngExt, SeedableRng};
use rand_chacha::ChaCha8Rng;

use crate::solver::decoder::preference::Preference;
use crate::solver::instance::{Instance, TaskView};
use crate::solver::schedule::Recipe;
use crate::solver::search::Search;

/// Two keys for each copy.
#[derive(Clone)]
pub(super) struct Keys {
    pub order: Vec<u32>,
    pub mode: Vec<u32>,
}

impl Keys {
    /// Keys that mean this recipe.
    pub fn of(instance: &Instance, recipe: &Recipe) -> Self {
        let mut order = vec![0; instance.copies()];
        for (position, &copy) in recipe.order.iter().enumerate() {
            let spread = ((position as u64) << 32) / recipe.order.len().max(1) as u64;
            order[copy] = u32::try_from(spread).unwrap_or(u32::MAX);
        }
        let mode = |copy: usize| mode_key(instance.task(copy), recipe.modes[copy]);
        Self {
            order,
            mode: (0..instance.copies()).map(mode).collect(),
        }
    }

    /// Keys that mean nothing in particular.
    pub fn random(instance: &Instance, random: &mut impl Rng) -> Self {
        let mut keys = || (0..instance.copies()).map(|_| random.random()).collect();
        Self {
            order: keys(),
            mode: keys(),
        }
    }

    /// What the keys mean.
    pub fn recipe(&self, instance: &Instance, preference: &Preference) -> Recipe {
        let mut order: Vec<usize> = (0..instance.copies()).collect();
        order.sort_unstable_by_key(|&copy| (self.order[copy], copy));
        let mode = |copy: usize| {
            let task = instance.task(copy);
            let place = (u64::from(self.mode[copy]) * (useful(task).count() as u64 + 1)) >> 32;
            useful(task).nth(place as usize)
        };
        Recipe {
            modes: (0..instance.copies()).map(mode).collect(),
            order,
            preference: preference.clone(),
        }
    }
}

/// The modes that are worth a key.
pub(super) fn useful(task: &TaskView) -> impl Iterator<Item = usize> + '_ {
    (0..task.modes.len()).filter(|&mode| !task.modes[mode].is_spare)
}

/// The middle of the keys that mean this mode; the last stretch leaves it open.
pub(super) fn mode_key(task: &TaskView, mode: Option<usize>) -> u32 {
    let modes = useful(task).count();
    let place = mode.and_then(|mode| useful(task).position(|other| other == mode));
    let (place, places) = (place.unwrap_or(modes) as u64, modes as u64 + 1);
    u32::try_from(((2 * place + 1) << 31) / places).unwrap_or(u32::MAX)
}

/// One of the useful modes, or none.
pub(super) fn any_mode(task: &TaskView, random: &mut impl Rng) -> Option<usize> {
    useful(task).nth(random.random_range(0..=useful(task).count()))
}

/// The recipes that a search starts from: those of the searches before, and the best plan as it is, first.
pub(super) fn founders(search: &Search) -> Vec<Recipe> {
    let (Some(incumbent), Some(best)) = (search.incumbent(), preference(search)) else {
        return Vec::new();
    };
    let mut recipes = vec![Recipe::of_schedule(&incumbent.schedule, &best)];
    for (_, leader) in search.leaders() {
        let mut recipe = leader.clone();
        if search.instance.project.is_some() {
            recipe.preference = best.clone();
        }
        recipes.push(recipe);
    }
    recipes
}

/// What copies with open modes look for: that which led to the best plan so far. `None` without any plan.
pub(super) fn preference(search: &Search) -> Option<Preference> {
    let (_, leader) = search.leaders().first()?;
    Some(match search.instance.project {
        Some(_) => Preference::EarliestEnd,
        None => leader.preference.clone(),
    })
}

/// The generator of one plan of a round: it depends on nothing else, whatever thread makes it.
pub(super) fn generator(seed: u64, round: u64, index: u64) -> ChaCha8Rng {
    let mut key = [0u8; 32];
    key[..8].copy_from_slice(&seed.to_le_bytes());
    key[8..16].copy_from_slice(&round.to_le_bytes());
    key[16..24].copy_from_slice(&index.to_le_bytes());
    ChaCha8Rng::from_seed(key)
}

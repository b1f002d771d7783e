//! Plans of the solver start anywhere in time; they are pushed to the front.

use std::collections::{BTreeMap, BTreeSet};

use crate::model::Millis;
use crate::solver::instance::profile::Profile;

use super::super::jobs::Jobs;
use super::super::nodes::Pick;
use super::super::places::Place;

/// The same on the same nodes and in the same order, each as early as it can be.
pub(super) fn settled(jobs: &Jobs, mut places: Vec<Place>) -> Vec<Place> {
    let mut profiles: BTreeMap<(usize, usize), Profile> = BTreeMap::new();
    let mut order: Vec<usize> = (0..places.len()).collect();
    order.sort_by_key(|&job| (places[job].start, job));
    for job in order {
        let place = &places[job];
        let (view, request) = (&jobs.jobs[job], &jobs.ways[place.way].request);
        let duration = place.end - place.start;
        let before = (0..job).filter(|before| view.before >> before & 1 == 1);
        let from = before
            .map(|before| places[before].end)
            .fold(view.head, Millis::max);
        let mut times = BTreeSet::from([from]);
        for pick in place.picks.each() {
            let base = &jobs.classes[pick.class].base;
            let node = profiles.entry((pick.class, pick.node));
            let steps = node.or_insert_with(|| base.clone()).steps_from(from);
            times.extend(steps.map(|(time, _)| time));
        }
        let fits = |start: &Millis| {
            let has_room = |pick: &Pick| {
                let pods = u64::from(pick.pods);
                let profile = &profiles[&(pick.class, pick.node)];
                duration == 0 || profile.slots(request, *start, duration, pods) == pods
            };
            place.picks.each().iter().all(has_room)
        };
        let start = times
            .into_iter()
            .filter(|time| *time < place.start)
            .find(fits);
        let start = start.unwrap_or(place.start);
        for pick in place.picks.each() {
            if let Some(profile) = profiles.get_mut(&(pick.class, pick.node)) {
                profile.occupy(&request.usage, pick.pods.into(), start, start + duration);
            }
        }
        (places[job].start, places[job].end) = (start, start + duration);
    }
    places
}

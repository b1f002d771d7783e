//! A task on each kind of hardware that it can choose from.

use std::collections::BTreeSet;

use super::faults::Faults;
use super::{MOST_MODES, read_task};
use crate::api::{Binding, DECIMAL_MESSAGE, TaskSpec};
use crate::cluster::{modes, template};
use crate::model::{Exact, Task, exact};

/// Reads the task as it is in each of its flavors.
pub fn read_flavors(
    task: &TaskSpec,
    batch: &str,
    binding: Binding,
    at: &str,
    faults: &mut Faults,
) -> Vec<Task> {
    let mut names = BTreeSet::new();
    let mut found = Vec::new();
    for (index, flavor) in task.flavors.iter().enumerate() {
        let at = format!("{at}.flavors[{index}]");
        if !names.insert(&flavor.name) {
            let message = format!(
                "Duplicate value: {:?}; names of flavors are unique",
                flavor.name
            );
            faults.add(&at, message);
        }
        let rate = above_zero(flavor.rate.as_ref(), &format!("{at}.rate"), faults);
        let price = faults.decimal(&format!("{at}.price"), flavor.price.as_ref(), None);
        let mut there = task.clone();
        there.template.0["spec"] = template::in_flavor(&task.template.0["spec"], Some(flavor));
        there.resources.extend(flavor.resources.clone());
        found.extend(
            read_task(&there, batch, binding, &at, faults).map(|read| Task {
                rate: rate.unwrap_or_else(|| exact(1)),
                price,
                flavor: Some(flavor.name.clone()),
                ..read
            }),
        );
    }
    let modes: usize = found.iter().map(modes::count).sum();
    if modes as i64 > MOST_MODES {
        let message = format!(
            "{modes} ways to run it over all flavors are too many, at most {MOST_MODES}: take larger steps"
        );
        faults.add(format!("{at}.flavors"), message);
    }
    found
}

fn above_zero(text: Option<&String>, field: &str, faults: &mut Faults) -> Option<Exact> {
    let value = faults.decimal(field, text, None)?;
    if value > exact(0) {
        return Some(value);
    }
    let text = text.map_or("", String::as_str);
    faults.add(field, format!("{text:?} {DECIMAL_MESSAGE}, and above 0"));
    None
}

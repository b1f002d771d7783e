//! Priority classes.

use std::collections::BTreeMap;

/// The classes that every cluster has.
const OF_THE_SYSTEM: [(&str, i32); 2] = [
    ("system-cluster-critical", 2_000_000_000),
    ("system-node-critical", 2_000_001_000),
];

/// Values of the priority classes, by name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Priorities {
    /// By name.
    pub values: BTreeMap<String, i32>,
    /// Value for tasks that name no class: of the one with `globalDefault`, else 0.
    pub default: i32,
}

impl Priorities {
    /// The priority of a task that names this class, or none; `None` where there is no such class.
    pub fn of(&self, class: Option<&str>) -> Option<i32> {
        let Some(name) = class else {
            return Some(self.default);
        };
        let system = OF_THE_SYSTEM.iter().find(|(system, _)| *system == name);
        let known = self.values.get(name).copied();
        known.or_else(|| system.map(|(_, value)| *value))
    }
}

impl<'a> FromIterator<(&'a str, i32, bool)> for Priorities {
    /// Classes as (name, value, whether it is the default). Of several defaults the least counts, as in Kubernetes.
    fn from_iter<I: IntoIterator<Item = (&'a str, i32, bool)>>(classes: I) -> Self {
        let (mut values, mut default) = (BTreeMap::new(), None);
        for (name, value, is_default) in classes {
            values.insert(name.to_owned(), value);
            if is_default {
                default = Some(default.map_or(value, |known: i32| known.min(value)));
            }
        }
        Self {
            values,
            default: default.unwrap_or(0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_task_has_the_value_of_its_class_or_of_the_default() {
        let classes = [("low", -5, false), ("usual", 7, true), ("other", 3, true)];
        let priorities: Priorities = classes.into_iter().collect();
        let of = |class| priorities.of(class);
        assert_eq!(of(Some("low")), Some(-5));
        assert_eq!(of(None), Some(3));
        assert_eq!(of(Some("system-node-critical")), Some(2_000_001_000));
        assert_eq!(of(Some("none")), None);
        assert_eq!(Priorities::default().of(None), Some(0));
    }
}

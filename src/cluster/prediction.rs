//! How long a pod is expected to run, as its annotation tells it.

use crate::model::Millis;

/// How long a plan expected a pod to read, to compute and to run, in ms.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct PredictedMillis {
    /// Time that reads data.
    pub read: Millis,
    /// Time that computes.
    pub compute: Millis,
    /// Time that the workers of a gang communicate.
    pub communicate: Millis,
    /// Time in all.
    pub total: Millis,
}

impl PredictedMillis {
    /// As `read/compute/total`, with `/communicate/level` for a gang that spans a level of the network.
    pub fn write(self, level: Option<&str>) -> String {
        let plain = format!("{}/{}/{}", self.read, self.compute, self.total);
        match level {
            Some(level) => format!("{plain}/{}/{level}", self.communicate),
            None => plain,
        }
    }

    /// Reads what `write` wrote: the times, and the level.
    pub fn read(text: &str) -> Option<(Self, Option<String>)> {
        let mut parts = text.split('/');
        let mut time = || parts.next()?.parse().ok();
        let (read, compute, total) = (time()?, time()?, time()?);
        let mut found = Self {
            read,
            compute,
            total,
            communicate: 0,
        };
        let level = match parts.next() {
            None => None,
            Some(communicate) => {
                found.communicate = communicate.parse().ok()?;
                Some(parts.next()?.to_owned())
            }
        };
        parts.next().is_none().then_some((found, level))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_written_is_read_also_from_before_there_were_levels() {
        let times = PredictedMillis {
            read: 1,
            compute: 20,
            communicate: 0,
            total: 21,
        };
        assert_eq!(times.write(None), "1/20/21");
        assert_eq!(PredictedMillis::read("1/20/21"), Some((times, None)));
        let times = PredictedMillis {
            communicate: 9,
            total: 30,
            ..times
        };
        let written = times.write(Some("rack"));
        assert_eq!(written, "1/20/30/9/rack");
        assert_eq!(
            PredictedMillis::read(&written),
            Some((times, Some("rack".into())))
        );
        for wrong in [
            "",
            "1/2",
            "1/2/x",
            "1/2/3/4",
            "1/2/3/x/rack",
            "1/2/3/4/rack/5",
        ] {
            assert_eq!(PredictedMillis::read(wrong), None, "{wrong}");
        }
    }
}

//! A process in a container, as the kernel sees it.

use std::collections::BTreeMap;
use std::fs;

use anyhow::{Context, Result};

/// What a process may do, and what it was told.
#[derive(Debug)]
pub(crate) struct Seen {
    status: BTreeMap<String, String>,
    root_options: String,
    environment: BTreeMap<String, String>,
}

/// How far the kernel holds a process back.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Restrictions {
    /// Real, effective, saved and file system user are all this one.
    pub(crate) user: Option<u32>,
    /// Whether it has no capability, and can get none.
    pub(crate) powerless: bool,
    /// Whether a program that it starts can not have more rights.
    pub(crate) no_new_privileges: bool,
    /// Whether a filter looks at its system calls.
    pub(crate) filtered: bool,
    /// Whether its root is mounted read-only.
    pub(crate) read_only_root: bool,
}

impl Seen {
    /// Reads `/proc/<pid>`.
    pub(crate) fn read(pid: u32) -> Result<Self> {
        let read = |file: &str| {
            fs::read_to_string(format!("/proc/{pid}/{file}"))
                .with_context(|| format!("{file} of process {pid}"))
        };
        let pairs = |text: &str, end: char, middle: char| {
            let pairs = text.split(end).filter_map(|one| one.split_once(middle));
            pairs
                .map(|(key, value)| (key.to_owned(), value.trim().to_owned()))
                .collect()
        };
        let mounts = read("mountinfo")?;
        // Fields of a mount: id, parent, device, root, mount point, options.
        let root = mounts
            .lines()
            .map(|line| line.split(' ').collect::<Vec<_>>())
            .find(|fields| fields.get(4) == Some(&"/"));
        Ok(Self {
            status: pairs(&read("status")?, '\n', ':'),
            root_options: root.context("no root")?[5].to_owned(),
            environment: pairs(&read("environ")?, '\0', '='),
        })
    }

    /// A variable of its environment.
    pub(crate) fn variable(&self, name: &str) -> Option<&str> {
        self.environment.get(name).map(String::as_str)
    }

    /// How far the kernel holds it back.
    pub(crate) fn restrictions(&self) -> Result<Restrictions> {
        let field = |name: &str| {
            let value = self.status.get(name).map(String::as_str);
            value.with_context(|| format!("no {name} in {:?}", self.status))
        };
        let users: Vec<&str> = field("Uid")?.split_whitespace().collect();
        let none = |name: &str| Ok::<_, anyhow::Error>(u64::from_str_radix(field(name)?, 16)? == 0);
        Ok(Restrictions {
            user: users
                .iter()
                .all(|user| *user == users[0])
                .then(|| users[0].parse())
                .transpose()?,
            powerless: none("CapEff")? && none("CapPrm")? && none("CapBnd")?,
            no_new_privileges: field("NoNewPrivs")? == "1",
            // 2: by a program, see seccomp(2).
            filtered: field("Seccomp")? == "2",
            read_only_root: self.root_options.split(',').any(|option| option == "ro"),
        })
    }
}

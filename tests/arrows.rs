//! Keeps the arrows of `src/lib.rs`, and clock, randomness and I/O out of the pure part.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

/// What each module may use, besides itself.
const ARROWS: [(&str, &[&str]); 11] = [
    ("model", &[]),
    ("api", &["model"]),
    ("constraint", &["model"]),
    ("cluster", &["api", "constraint", "model"]),
    ("solver", &["model"]),
    ("verify", &["constraint", "model"]),
    (
        "decide",
        &["api", "cluster", "constraint", "model", "solver", "verify"],
    ),
    (
        "sim",
        &[
            "api",
            "cluster",
            "constraint",
            "decide",
            "model",
            "solver",
            "verify",
        ],
    ),
    (
        "operator",
        &[
            "api",
            "cluster",
            "constraint",
            "decide",
            "model",
            "solver",
            "verify",
        ],
    ),
    (
        "cli",
        &[
            "api",
            "cluster",
            "constraint",
            "decide",
            "model",
            "operator",
            "sim",
            "solver",
            "verify",
        ],
    ),
    ("main", &["cli"]),
];

/// Modules to which clock, seed and budget are handed in.
const PURE: [&str; 8] = [
    "model",
    "api",
    "constraint",
    "cluster",
    "solver",
    "verify",
    "decide",
    "sim",
];

/// What a pure module does not speak of.
const AMBIENT: [&str; 19] = [
    "Instant",
    "SystemTime",
    "Timestamp::now",
    "Zoned::now",
    "thread_rng",
    "rand::rng",
    "rand::random",
    "from_os_rng",
    "try_from_os_rng",
    "OsRng",
    "SysRng",
    "tokio",
    "std::fs",
    "std::net",
    "std::env",
    "std::io",
    "std::process",
    "std::thread",
    "kube::Client",
];

#[test]
fn modules_use_only_what_the_map_of_the_crate_draws() {
    let wrong: Vec<_> = sources()
        .iter()
        .flat_map(|(path, text)| wrong_arrows(path, text))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn the_pure_part_has_no_clock_no_randomness_and_no_input_or_output() {
    let wrong: Vec<_> = sources()
        .iter()
        .flat_map(|(path, text)| ambient(path, text))
        .collect();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_module_is_on_the_map() {
    let known: BTreeSet<&str> = ARROWS.iter().map(|(name, _)| *name).collect();
    for (path, _) in sources() {
        let module = module(&path);
        assert!(
            module == "lib" || known.contains(module.as_str()),
            "{} is not on the map",
            path.display()
        );
    }
}

#[test]
fn a_planted_wrong_arrow_is_caught() {
    for (file, text) in [
        ("solver/greedy.rs", "use crate::cluster::quantity;"),
        (
            "solver/mod.rs",
            "use crate::{model::Goal, verify::{self, check}};",
        ),
        ("verify.rs", "fn f() { super::solver::solve() }"),
        ("model/node.rs", "use super::super::api::TaskBatch;"),
        ("decide/mod.rs", "let operator = crate::operator::run();"),
        ("main.rs", "use taskbatch::solver;"),
    ] {
        assert_eq!(wrong_arrows(Path::new(file), text).len(), 1, "{text}");
    }
    for (file, text) in [
        ("solver/greedy.rs", "use crate::model::{Goal, Problem};"),
        (
            "solver/greedy.rs",
            "// not crate::cluster\n#[cfg(test)]\nmod tests {\n    use crate::verify;\n}\n",
        ),
        ("cluster/node.rs", "use super::quantity;"),
        (
            "decide/mod.rs",
            "use crate::{api, cluster::{compile, snapshot}};",
        ),
    ] {
        assert_eq!(
            wrong_arrows(Path::new(file), text),
            Vec::<String>::new(),
            "{text}"
        );
    }
}

#[test]
fn a_planted_clock_is_caught() {
    assert_eq!(
        ambient(
            Path::new("solver/search.rs"),
            "let now = std::time::Instant::now();"
        )
        .len(),
        1
    );
    assert_eq!(
        ambient(Path::new("decide/mod.rs"), "use tokio::time::sleep;").len(),
        1
    );
    assert!(ambient(Path::new("cli/plan/mod.rs"), "use std::time::Instant;").is_empty());
    assert!(
        ambient(
            Path::new("solver/search.rs"),
            "use crate::model::Instance; // an Instant"
        )
        .is_empty()
    );
}

/// Source files, relative to `src`, without those that only tests use.
fn sources() -> Vec<(PathBuf, String)> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut found = Vec::new();
    collect(&root, &root, &mut found);
    assert!(found.len() > 20, "the sources were not found");
    let tests: BTreeSet<PathBuf> = found
        .iter()
        .flat_map(|(path, text)| test_modules(path, text))
        .collect();
    found.retain(|(path, _)| {
        !tests
            .iter()
            .any(|test| path.with_extension("").starts_with(test))
    });
    found
}

fn collect(root: &Path, folder: &Path, found: &mut Vec<(PathBuf, String)>) {
    for entry in std::fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        if path.is_dir() {
            collect(root, &path, found);
        } else if path.extension().is_some_and(|extension| extension == "rs") {
            let text = std::fs::read_to_string(&path).expect("a source file");
            let relative = path.strip_prefix(root).expect("a path below src");
            found.push((relative.to_owned(), text));
        }
    }
}

/// Modules that a file declares for tests alone, as paths without extension.
fn test_modules(path: &Path, text: &str) -> Vec<PathBuf> {
    let folder = match path.file_stem().and_then(|stem| stem.to_str()) {
        Some("mod" | "lib" | "main") => path.parent().expect("a folder").to_owned(),
        _ => path.with_extension(""),
    };
    let lines: Vec<&str> = text.lines().map(str::trim).collect();
    lines
        .windows(2)
        .filter(|pair| pair[0] == "#[cfg(test)]")
        .filter_map(|pair| {
            pair[1]
                .trim_start_matches("pub(crate) ")
                .strip_prefix("mod ")?
                .strip_suffix(';')
        })
        .map(|name| folder.join(name))
        .collect()
}

/// The top module of a file.
fn module(path: &Path) -> String {
    let first = path.iter().next().expect("a name").to_string_lossy();
    first.trim_end_matches(".rs").to_owned()
}

fn wrong_arrows(path: &Path, text: &str) -> Vec<String> {
    let module = module(path);
    let Some((_, allowed)) = ARROWS.iter().find(|(name, _)| *name == module) else {
        return Vec::new();
    };
    let is_module = |name: &str| ARROWS.iter().any(|(known, _)| *known == name);
    used(path, &code(text))
        .into_iter()
        .filter(|name| is_module(name) && *name != module && !allowed.contains(&name.as_str()))
        .map(|name| format!("src/{}: {module} must not use {name}", path.display()))
        .collect()
}

fn ambient(path: &Path, text: &str) -> Vec<String> {
    if !PURE.contains(&module(path).as_str()) {
        return Vec::new();
    }
    let code = code(text);
    let is_word = |at: usize, name: &str| {
        let inside = |letter: char| letter.is_alphanumeric() || letter == '_';
        !code[..at].ends_with(inside) && !code[at + name.len()..].starts_with(inside)
    };
    AMBIENT
        .iter()
        .filter(|name| code.match_indices(**name).any(|(at, _)| is_word(at, name)))
        .map(|name| {
            format!(
                "src/{}: {name} is for the operator and the command line",
                path.display()
            )
        })
        .collect()
}

/// The text without comments and without its module of tests.
fn code(text: &str) -> String {
    let end = text.find("#[cfg(test)]\nmod tests {").unwrap_or(text.len());
    let lines = text[..end]
        .lines()
        .map(|line| line.split("//").next().unwrap_or_default());
    lines.collect::<Vec<_>>().join("\n")
}

/// Names at the root of the crate that the code speaks of: `crate::a`, `crate::{a, b::c}`, `super::a` from
/// a module at the root, and `taskbatch::a` from the program.
fn used(path: &Path, code: &str) -> BTreeSet<String> {
    let is_file_of_its_own = path.file_stem().is_some_and(|stem| stem != "mod");
    let depth = path.iter().count() - usize::from(!is_file_of_its_own);
    let mut roots = vec!["crate::".to_owned(), "super::".repeat(depth)];
    if module(path) == "main" {
        roots.push("taskbatch::".into());
    }
    let mut found = BTreeSet::new();
    for root in roots {
        for (at, _) in code.match_indices(&root) {
            let whole = !code[..at]
                .ends_with(|letter: char| letter.is_alphanumeric() || matches!(letter, '_' | ':'));
            if whole {
                found.extend(names(&code[at + root.len()..]));
            }
        }
    }
    found
}

/// The first name of a path, or the first names of a group of paths.
fn names(rest: &str) -> Vec<String> {
    let first = |text: &str| -> String {
        let name = text.trim_start().chars();
        name.take_while(|letter| letter.is_alphanumeric() || *letter == '_')
            .collect()
    };
    let Some(group) = rest.strip_prefix('{') else {
        return vec![first(rest)];
    };
    let mut depth = 0;
    let mut found = vec![first(group)];
    for (at, letter) in group.char_indices() {
        match letter {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => found.push(first(&group[at + 1..])),
            _ => {}
        }
    }
    found
}

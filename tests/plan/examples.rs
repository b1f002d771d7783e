//! The commands that stand in the comments of the examples do what their reader expects: they plan.

use std::path::Path;

use crate::program::Folder;

/// Commands of `taskbatch` in the comments of a file, without the name of the program.
fn commands(text: &str) -> Vec<Vec<&str>> {
    let comments = text
        .lines()
        .filter_map(|line| line.strip_prefix("#   taskbatch "));
    comments.map(|line| line.split(' ').collect()).collect()
}

#[test]
fn every_command_in_the_examples_plans() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut tried = 0;
    for file in std::fs::read_dir(root.join("examples")).expect("a folder") {
        let path = file.expect("a file").path();
        let text = std::fs::read_to_string(&path).expect("text");
        for command in commands(&text) {
            let places = command
                .iter()
                .map(|word| match word.starts_with("examples/") {
                    true => root.join(word).display().to_string(),
                    false => (*word).to_owned(),
                });
            let mut words: Vec<String> = places.collect();
            if words[0] == "plan" {
                words.extend(["--iterations", "50"].map(str::to_owned));
            }
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let done = Folder::new("examples").run(&words);
            assert_eq!(done.code, Some(0), "{command:?}: {done:?}");
            tried += 1;
        }
    }
    assert!(tried > 2, "{tried} commands");
}

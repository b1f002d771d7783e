//! Quantities, read as `resource.Quantity` reads them.

use serde_json::{Value, json};
use taskbatch::cluster::quantity;

use super::cases;
use super::dice::Dice;
use super::oracle::compare;

/// A text that is a quantity, nearly one, or none.
fn text(dice: &mut Dice) -> String {
    let signs = ["", "", "", "", "+", "-"];
    let digits = [
        "",
        "0",
        "1",
        "5",
        "007",
        "12",
        "1024",
        "999999999",
        "9223372036854775807",
    ];
    let points = [
        "",
        "",
        "",
        ".",
        ".0",
        ".5",
        ".25",
        ".000000001",
        ".0000000004",
        ".1.2",
    ];
    let suffixes = [
        "", "", "m", "u", "n", "k", "M", "G", "T", "P", "E", "Ki", "Mi", "Gi", "Ti", "Pi", "Ei",
        "e3", "E3", "e-3", "e+2", "e", "e+", "ee3", "K", "mi", "i", "x", " ", "e12", "E-10",
    ];
    let sign = dice.pick(&signs);
    format!(
        "{sign}{}{}{}",
        dice.pick(&digits),
        dice.pick(&points),
        dice.pick(&suffixes)
    )
}

/// Upstream takes texts without a digit for 0, and a binary quantity beyond 64 bits for the largest that fits; both are
/// refused here. Below 0 it rounds away from it, and nobody requests that.
fn is_comparable(text: &str, answer: &Value) -> bool {
    let capped = answer["value"] == i64::MAX && text.ends_with('i');
    let number = text.split(['e', 'E']).next().unwrap_or_default();
    number.contains(|c: char| c.is_ascii_digit()) && !capped && !text.starts_with('-')
}

#[derive(Default)]
struct Tally {
    differences: Vec<String>,
    read: u64,
    refused: u64,
}

fn judge(tally: &mut Tally, question: &Value, answer: &Value) {
    let text = question["quantity"].as_str().expect("a text");
    if !is_comparable(text, answer) {
        return;
    }
    for (resource, amount, beyond) in [
        ("memory", "value", "beyond"),
        ("cpu", "milli", "beyondMilli"),
    ] {
        let theirs =
            (answer["error"].is_null() && answer[beyond] == false).then(|| answer[amount].as_i64());
        let ours = quantity::amount(resource, text).ok();
        match ours {
            Some(_) => tally.read += 1,
            None => tally.refused += 1,
        }
        if ours != theirs.flatten() {
            tally
                .differences
                .push(format!("{resource} {text:?}: {ours:?}, upstream {answer}"));
        }
    }
}

#[test]
fn quantities_have_the_value_that_upstream_gives_them() {
    let question = |seed: u64| json!({"quantity": text(&mut Dice::new(seed))});
    let found: Vec<Tally> = compare(
        0..cases(20_000, 0.1),
        question,
        |tally, _, question, answer| judge(tally, question, answer),
    );
    for tally in found {
        assert_eq!(tally.differences, Vec::<String>::new());
        // Neither kind is rare.
        assert!(tally.read > tally.refused / 4 && tally.refused > tally.read / 20);
    }
}

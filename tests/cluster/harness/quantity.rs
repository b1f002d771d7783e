//! Kubernetes quantities, read by the fake kubelet independently of the operator.

use anyhow::{Context, Result};

/// The value in thousandths, rounded up.
pub(crate) fn milli(quantity: &str) -> Result<i128> {
    let digits = quantity.trim_start_matches(['+', '-']);
    let end = digits
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(digits.len());
    let (number, suffix) = digits.split_at(end);
    let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
    let mantissa: i128 = format!("{whole}{fraction}")
        .parse()
        .with_context(|| format!("not a number: {quantity}"))?;
    let (binary, decimal) = scale(suffix).with_context(|| format!("unknown suffix: {quantity}"))?;
    // value * 1000 = mantissa * 2^binary * 10^exponent
    let exponent = decimal + 3 - i32::try_from(fraction.len())?;
    let power = 10_i128.pow(exponent.unsigned_abs());
    let scaled = mantissa << binary;
    let magnitude = if exponent >= 0 {
        scaled * power
    } else {
        scaled.div_euclid(power) + i128::from(scaled % power > 0)
    };
    Ok(if quantity.starts_with('-') {
        -magnitude
    } else {
        magnitude
    })
}

/// The powers of two and of ten that a suffix stands for.
fn scale(suffix: &str) -> Result<(u32, i32)> {
    const DECIMAL: [(&str, i32); 10] = [
        ("n", -9),
        ("u", -6),
        ("m", -3),
        ("", 0),
        ("k", 3),
        ("M", 6),
        ("G", 9),
        ("T", 12),
        ("P", 15),
        ("E", 18),
    ];
    const BINARY: [(&str, u32); 6] = [
        ("Ki", 10),
        ("Mi", 20),
        ("Gi", 30),
        ("Ti", 40),
        ("Pi", 50),
        ("Ei", 60),
    ];
    if let Some((_, power)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Ok((0, *power));
    }
    if let Some((_, power)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Ok((*power, 0));
    }
    let exponent = suffix
        .strip_prefix(['e', 'E'])
        .context("no suffix of Kubernetes")?;
    Ok((0, exponent.parse()?))
}

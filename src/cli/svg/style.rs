//! Colours and fonts, for light and dark pages.

use std::fmt::Write;

/// Light and dark fills; text on them has a contrast of at least 4.5 to 1.
pub(super) const COLOURS: [(&str, &str); 12] = [
    ("#9ecae9", "#2f6fa5"),
    ("#ffbf79", "#a0580f"),
    ("#88d27a", "#2f7d32"),
    ("#ff9d98", "#b03a3f"),
    ("#d6a5c9", "#7d4f8f"),
    ("#d8b5a5", "#7a5747"),
    ("#f2cf5b", "#856600"),
    ("#83bcb6", "#2e7370"),
    ("#b8c4ce", "#56616b"),
    ("#fcbfd2", "#a3446b"),
    ("#c9bdf2", "#5f52ad"),
    ("#d9d38c", "#6b6a1f"),
];

/// The style sheet.
pub(super) fn style() -> String {
    let mut style = String::from(
        "text { font: 12px system-ui, -apple-system, 'Segoe UI', 'DejaVu Sans', Arial, sans-serif; fill: #1f2328; }\n\
         .strong { font-weight: 600; }\n.title { font-size: 16px; font-weight: 600; }\n.faint { fill: #59636e; }\n\
         .warn { fill: #b3261e; font-weight: 600; }\n.page { fill: #ffffff; }\n.band { fill: #f3f5f7; }\n\
         .grid { stroke: #d1d9e0; stroke-width: 1; }\n.gang { stroke: #1f2328; stroke-opacity: 0.6; }\n\
         .tie { fill-opacity: 0.45; }\n.arrow { fill: none; stroke: #1f2328; stroke-width: 1.4; }\n\
         .slack { stroke: #59636e; stroke-width: 1; stroke-dasharray: 4 3; }\n.tip { fill: #1f2328; }\n\
         .due { stroke: #59636e; stroke-width: 1.4; stroke-dasharray: 2 2; }\n.missed { stroke: #b3261e; }\n\
         .late { stroke: #b3261e; stroke-width: 1.6; stroke-opacity: 1; }\n",
    );
    for (index, (light, _)) in COLOURS.iter().enumerate() {
        let _ = writeln!(style, ".c{index} {{ fill: {light}; }}");
    }
    style += "@media (prefers-color-scheme: dark) {\n\
              text { fill: #f0f3f6; }\n.faint { fill: #9198a1; }\n.warn { fill: #ff8a80; }\n.page { fill: #0d1117; }\n\
              .band { fill: #161b22; }\n.grid { stroke: #30363d; }\n.gang { stroke: #f0f3f6; }\n\
              .arrow { stroke: #f0f3f6; }\n.slack { stroke: #9198a1; }\n.tip { fill: #f0f3f6; }\n\
              .due { stroke: #9198a1; }\n.missed { stroke: #ff8a80; }\n.late { stroke: #ff8a80; }\n";
    for (index, (_, dark)) in COLOURS.iter().enumerate() {
        let _ = writeln!(style, ".c{index} {{ fill: {dark}; }}");
    }
    style + "}\n"
}

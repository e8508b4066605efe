//! Columns. Cells are padded before they are painted, so that colours move nothing.

use crate::terminal::Paint;

/// Rows under a heading; the last column is not padded.
pub fn table(paint: Paint, heading: &[&str], rows: &[Vec<String>]) -> String {
    let mut widths: Vec<usize> = heading.iter().map(|text| text.chars().count()).collect();
    for row in rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            *width = (*width).max(printed_width(cell));
        }
    }
    let head: Vec<String> = heading.iter().map(|text| paint.bold(text)).collect();
    let mut lines = vec![line(&head, &widths)];
    lines.extend(rows.iter().map(|row| line(row, &widths)));
    lines.join("\n")
}

fn line(cells: &[String], widths: &[usize]) -> String {
    let mut text = String::new();
    for (n, (cell, width)) in cells.iter().zip(widths).enumerate() {
        text += cell;
        if n + 1 < cells.len() {
            text += &" ".repeat(width.saturating_sub(printed_width(cell)) + 2);
        }
    }
    text.trim_end().to_owned()
}

/// Characters that take room: our own colour codes take none, and others never come this far.
fn printed_width(cell: &str) -> usize {
    let mut width = 0;
    let mut in_code = false;
    for c in cell.chars() {
        match (in_code, c) {
            (false, '\u{1b}') => in_code = true,
            (true, 'm') => in_code = false,
            (true, _) => {}
            (false, _) => width += 1,
        }
    }
    width
}

//! The configuration in force.

use super::{
    table::table,
    words::{one_line, value},
};
use chiffon_program::settings::Setting;

use crate::terminal::Paint;

/// One key a row.
pub fn settings(paint: Paint, settings: &[Setting]) -> String {
    let rows: Vec<_> = settings.iter().map(row).collect();
    table(paint, &["KEY", "VALUE"], &rows)
}

/// The same, each with where its value comes from.
pub fn settings_with_origin(paint: Paint, settings: &[Setting]) -> String {
    let with_origin = |setting: &Setting| {
        let mut cells = row(setting);
        cells.push(one_line(&setting.origin, 200));
        cells
    };
    let rows: Vec<_> = settings.iter().map(with_origin).collect();
    table(paint, &["KEY", "VALUE", "ORIGIN"], &rows)
}

fn row(setting: &Setting) -> Vec<String> {
    let value = one_line(&value(&setting.value), 200);
    vec![setting.key.to_owned(), value]
}

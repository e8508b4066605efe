//! `chiffon plan try`: what sentences would come to, one JSON document a line. It needs no fleet and leaves nothing behind.

use std::{path::Path, sync::Arc};

use chiffon_orchestrator::{
    catalogue::{Catalogue, extract_shipped, repository},
    inventory::{Here, Inventory, write_default},
    planner::Planner,
};

use super::Context;
use crate::{
    args::TryPlan,
    exit::Exit,
    failure::Failure,
    fleet::roots,
    home::hostname,
    session::interrupted,
    terminal::{Lines, Typed},
};

pub async fn try_plan(context: &mut Context<'_>, args: &TryPlan) -> Result<Exit, Failure> {
    let ground = Arc::new(Ground {
        planner: Planner::new(Arc::new(catalogue(context)?)),
        inventory: inventory(context, args)?,
    });
    if let Some(sentence) = &args.sentence {
        return tell(context, &ground, sentence).await;
    }
    let mut lines = Lines::of_input();
    loop {
        let typed = tokio::select! {
            typed = lines.next() => typed,
            () = context.interrupt.wait() => return Err(interrupted()),
        };
        match typed {
            Typed::Line(line) if line.trim().is_empty() => {}
            Typed::Line(line) => drop(tell(context, &ground, line.trim()).await?),
            Typed::NoText => {
                return Err(Failure::usage(
                    "Standard input is no UTF-8 text.",
                    "Give UTF-8, one sentence a line.",
                ));
            }
            Typed::NoMore => return Ok(Exit::Ok),
            Typed::Interrupted => return Err(interrupted()),
        }
    }
}

/// What is planned with.
struct Ground {
    planner: Planner,
    inventory: Inventory,
}

/// Whoever asks the program to end is heard all the while.
async fn tell(
    context: &mut Context<'_>,
    ground: &Arc<Ground>,
    sentence: &str,
) -> Result<Exit, Failure> {
    let (ground, sentence) = (Arc::clone(ground), sentence.to_owned());
    let planning =
        tokio::task::spawn_blocking(move || ground.planner.tried(&sentence, &ground.inventory));
    let tried = tokio::select! {
        tried = planning => tried.map_err(|error| Failure::internal(error.to_string()))?,
        () = context.interrupt.wait() => return Err(interrupted()),
    };
    let line =
        serde_json::to_string(&tried).map_err(|error| Failure::internal(error.to_string()))?;
    context.terminal.data(&line);
    Ok(Exit::Ok)
}

/// The catalogue of this program, unpacked beside the data folder, and those of the configuration.
pub fn catalogue(context: &Context<'_>) -> Result<Catalogue, Failure> {
    let settings = context.settings(&[])?;
    let folder = scratch()?;
    let path = folder.path().join("shipped");
    extract_shipped(&path).map_err(|error| {
        Failure::internal(format!("the shipped catalogue cannot be unpacked: {error}"))
    })?;
    let mut roots = roots(path, &settings);
    roots.extend(repository::roots(context.home.path()));
    Ok(Catalogue::load(&roots))
}

/// The file that is named, the inventory of the data folder, or that of a machine by itself.
fn inventory(context: &Context<'_>, args: &TryPlan) -> Result<Inventory, Failure> {
    let here = Here {
        hostname: hostname(),
        home: context
            .env
            .absolute("HOME")
            .unwrap_or_else(|| Path::new("/").to_owned()),
    };
    if let Some(path) = &args.inventory {
        return Ok(Inventory::load_file(path, &here)?);
    }
    let folder = context.home.inventory();
    if folder.join("hosts.yml").exists() {
        return Ok(Inventory::load(&folder, &here)?);
    }
    let alone = scratch()?;
    write_default(alone.path(), &here.hostname)?;
    Ok(Inventory::load(alone.path(), &here)?)
}

fn scratch() -> Result<tempfile::TempDir, Failure> {
    tempfile::tempdir()
        .map_err(|error| Failure::internal(format!("no folder for a moment can be made: {error}")))
}

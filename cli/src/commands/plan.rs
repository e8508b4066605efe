//! `chiffon plan show`.

use chiffon_common::{Plan, api::RequestView};

use super::{Context, read};
use crate::{args, exit::Exit, failure::Failure, output, render};

pub async fn plan(context: &mut Context<'_>, args: &args::Plan) -> Result<Exit, Failure> {
    let args::Plan::Show { request } = args;
    let found = read(context, async |client| {
        let id = client.resolve(request).await?;
        // First of all: where there is none, this says so.
        let plan: Plan = client.plan(id).await?;
        // A person is shown what the check runs said, too.
        let request: RequestView = client.request(id).await?;
        Ok((plan, request))
    });
    let (plan, request) = found.await?;
    let paint = context.terminal.out;
    output::one(context.terminal, &plan, || {
        render::whole_plan(paint, &request).unwrap_or_default()
    });
    Ok(Exit::Ok)
}

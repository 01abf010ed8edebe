//! `serve-thrift`.

use std::time::Duration;

use flipper::ThriftServer;

use crate::cli::ServeArgs;
use crate::failure::{Code, Result};
use crate::run::Run;
use crate::shape::object;
use crate::signals::ended;

/// How long calls that are under way may take when the server is told to end.
const PATIENCE: Duration = Duration::from_secs(5);

pub(crate) async fn serve(run: &mut Run, args: &ServeArgs) -> Result<Code> {
    let client = run.settings.open().await?;
    let mut server = ThriftServer::new(client.clone()).address(&args.address);
    if args.read_only {
        server = server.read_only();
    }
    let running = server.start().await?;
    let address = running.local_address();
    if run.out.is_json() {
        run.out.json(&object([("address", address.to_string().into())]))?;
    } else {
        let how = if args.read_only { ", to be read only" } else { "" };
        run.out.line(format_args!("serving at thrift://{address}{how}: Ctrl-C ends it"))?;
    }
    run.out.flush()?;
    ended().await;
    let cut = running.shutdown(PATIENCE).await;
    client.close().await?;
    if !run.out.is_json() {
        run.out.line(format_args!("ended; {cut} connections were cut"))?;
    }
    Ok(Code::Done)
}

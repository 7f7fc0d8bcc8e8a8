//! A program with an HTTP server of its own (hyper), and a room server that takes over what is upgraded there.
//!
//! ```text
//! cargo run -p roomwire-tokio --example hyper
//! ```
//!
//! <http://127.0.0.1:8081/> is a page of the program's, `ws://127.0.0.1:8081/chat` a WebSocket of the rooms. Who comes
//! that way meets clients of the room server's own address, `ws://127.0.0.1:8080`. Ctrl-C says goodbye to all of them.
#![expect(
    clippy::print_stdout,
    reason = "the example tells its user what happens"
)]

use std::convert::Infallible;
use std::error::Error;
use std::net::SocketAddr;
use std::sync::Arc;

use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::service_fn;
use hyper::upgrade::{OnUpgrade, Upgraded};
use hyper::{Request, Response};
use hyper_util::rt::TokioIo;
use roomwire_core::ValidConfig;
use roomwire_core::server::UpgradeRequest;
use roomwire_runtime::Settings;
use roomwire_tokio::{Adopted, Handle, Server, bridge};
use tokio::net::{TcpListener, TcpStream};

/// What every request finds.
pub(crate) struct Program {
    pub(crate) rooms: Handle,
    /// The rules of the rooms, among them which pages may connect.
    pub(crate) rules: ValidConfig,
}

#[tokio::main]
async fn main() -> Result<(), Box<dyn Error>> {
    let settings = Settings::default(); // listens at 127.0.0.1:8080
    let rules = settings.core_config()?;
    let server = Server::bind(settings).await?;
    let rooms = server.handle();
    let listener = TcpListener::bind(("127.0.0.1", 8081)).await?;
    println!("the page is at http://{}/", listener.local_addr()?);
    tokio::spawn(serve(listener, Arc::new(Program { rooms, rules })));
    // Those who came in through the program, too, are told goodbye before this returns.
    server.run(interrupted()).await?;
    println!("everyone has left");
    Ok(())
}

/// Done at Ctrl-C.
async fn interrupted() {
    if let Err(error) = tokio::signal::ctrl_c().await {
        println!("shutting down, for Ctrl-C cannot be heard: {error}");
    }
}

/// The program's own server.
pub(crate) async fn serve(listener: TcpListener, program: Arc<Program>) {
    while let Ok((socket, peer)) = listener.accept().await {
        let program = Arc::clone(&program);
        let service = service_fn(move |request| {
            let response = respond(&program, peer, request);
            async { Ok::<_, Infallible>(response) }
        });
        let connection = http1::Builder::new().serve_connection(TokioIo::new(socket), service);
        tokio::spawn(connection.with_upgrades());
    }
}

fn respond(
    program: &Arc<Program>,
    peer: SocketAddr,
    mut request: Request<Incoming>,
) -> Response<String> {
    match request.uri().path() {
        "/" => Response::new("The rooms are at /chat.\n".to_owned()),
        "/chat" => {
            let upgrade = hyper::upgrade::on(&mut request);
            chat(program, peer, &request, upgrade)
        }
        _ => answer(404, [("content-type", "text/plain")], "Not found"),
    }
}

/// Answers as the room server would, and hands the connection over once that has been said.
fn chat(
    program: &Arc<Program>,
    peer: SocketAddr,
    request: &Request<Incoming>,
    upgrade: OnUpgrade,
) -> Response<String> {
    let headers = request.headers().iter();
    let headers = headers.map(|(name, value)| (name.as_str(), value.as_bytes()));
    let target = request.uri().path_and_query().map_or("/", |it| it.as_str());
    let asked = UpgradeRequest::new(request.method().as_str(), target, headers);
    let response = match asked.check(&program.rules) {
        Err(no) => return answer(no.status().code(), no.headers(), no.text()),
        Ok(yes) => answer(101, yes.headers(), ""),
    };
    let program = Arc::clone(program);
    tokio::spawn(async move {
        let handed_over = async {
            let adopted = adopted(upgrade.await?, peer, &asked)?;
            program.rooms.adopt(adopted).await?;
            Ok::<_, Box<dyn Error + Send + Sync>>(())
        };
        if let Err(error) = handed_over.await {
            println!("{peer} was not taken over: {error}");
        }
    });
    response
}

/// A TCP socket is handed over as it is, anything else (here it is never anything else) through a pair.
fn adopted(
    upgraded: Upgraded,
    peer: SocketAddr,
    asked: &UpgradeRequest,
) -> std::io::Result<Adopted> {
    match upgraded.downcast::<TokioIo<TcpStream>>() {
        Ok(parts) => {
            let socket = parts.io.into_inner().into_std()?;
            Adopted::new(socket, peer, asked, &parts.read_buf)
        }
        Err(stream) => Adopted::new(bridge(TokioIo::new(stream))?, peer, asked, &[]),
    }
}

fn answer<V: AsRef<str>>(
    status: u16,
    headers: impl IntoIterator<Item = (&'static str, V)>,
    text: &str,
) -> Response<String> {
    let mut response = Response::builder().status(status);
    for (name, value) in headers {
        response = response.header(name, value.as_ref());
    }
    // All of it is known to be valid.
    response.body(text.to_owned()).unwrap_or_default()
}

use embedded_io_async_07::{Read, Write};
use fcgi_proto::embedded_io_async_07::{Buffers, Error, Platform, Request, Settings, serve};
use fcgi_proto::{pair::Selected, record::Role};

type Params = Selected<'static, 256>;

/// The parameters that are asked for; a browser's cookies pass by.
const NAMES: &[&[u8]] = &[b"REQUEST_URI", b"HTTP_X_TOKEN"];

/// Answers a request; as an Authorizer lets in who knows the word.
async fn page<T: Read + Write, P: Platform<T>>(
    request: &mut Request<'_, T, P, Params>,
) -> Result<(), Error<T::Error>> {
    let (params, role) = (request.params(), request.role());
    let reads = params.clone().get(b"REQUEST_URI") == Some(b"/temperature");
    let knows = params.get(b"HTTP_X_TOKEN") == Some(b"let-me-in");
    request
        .write_all(match role {
            Role::Authorizer if knows => b"Status: 200 OK\r\n\r\n",
            Role::Authorizer => b"Status: 403 Forbidden\r\nContent-Type: text/plain\r\n\r\nNo\n",
            _ if reads => b"Content-Type: text/plain\r\n\r\n23.5\n",
            _ => b"Content-Type: text/plain\r\n\r\nSee /temperature\n",
        })
        .await
}

/// Serves one connection until it is to be closed; nothing is allocated.
pub(crate) async fn connection<T: Read + Write>(
    stream: &mut T,
    platform: &impl Platform<T>,
) -> Result<(), T::Error> {
    let mut settings = Settings::new();
    settings.roles = &[Role::Responder, Role::Authorizer];
    let (mut params, mut buffers) = (Params::new(NAMES), Buffers::<1024, 256>::new());
    serve(stream, platform, &settings, &mut params, &mut buffers, page).await?;
    Ok(())
}

# Mistakes in what keeps sessions, each with its [emerg] text: `nginx -t` says which line, what was wrong and what to write.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $secret = 'a cookie secret of more than thirty-two bytes';
sub block { return "oidc_provider p { issuer https://op.example; client_id c; client_secret s; $_[0] }\n" }
sub server { my ($more, $listen) = @_; return 'server { listen ' . ($listen // '127.0.0.1:%%PORT_a%%') . "; $more auth_oidc p; }" }
my $in = 'in oidc_provider "p" in http.conf:1';
my $only_http = 'has only http: write "listen ... ssl", or "auth_oidc_base_url https://..." where TLS ends before nginx';

# ---- stores and secrets ----

for my $case (
    ['session_store a; session_store redis://127.0.0.1;', qq("session_store" directive is duplicate in http.conf:1)],
    ['session_store redis://127.0.0.1; session_store cookie;', qq("session_store" directive is duplicate in http.conf:1)],
    ['session_store redis://127.0.0.1 cookie;', qq(invalid number of arguments in "session_store" directive in http.conf:1)],
    ['session_store nowhere;', qq(unknown zone "nowhere" in "session_store", declare it: "keyval_zone zone=nowhere:8m;" $in)],
    ['store_timeout soon;', qr/"store_timeout"/],
    ['cookie_secret short;', qr/^"cookie_secret" is too short: a secret has at least 32 bytes, for example the output of "openssl rand -base64 32" in http\.conf:1$/],
    ["cookie_secret \"$secret\"; cookie_secret \"$secret\"; cookie_secret \"$secret\";", qr/^"cookie_secret" is given more than twice: the first seals, the second still opens/],
    ['cookie_secret_file none;', qr/^cannot read "none" of "cookie_secret_file" in http\.conf:1$/],
    ['session_store rediss://127.0.0.1?ca=none.pem;', qr/^the certificates of "session_store" cannot be used in oidc_provider "p" in http\.conf:1$|none\.pem/],
    ['session_store unix:/run/redis.sock?user=u;', qr/^invalid URL in "session_store": a user needs a password; write redis:/],
) {
    my ($text, $expected) = @$case;
    my $found = conf_error(block($text)) // 'accepted';
    ref $expected ? like $found, $expected, $text : is $found, $expected, $text;
}

# ---- https ----

for my $case (
    ['cookie_samesite None;', '', qq("cookie_samesite None" needs https, and a server without a name $only_http $in)],
    ['cookie_samesite None;', 'server_name app.example;', qq("cookie_samesite None" needs https, and server "app.example" $only_http $in)],
    ['cookie_samesite None;', 'server_name app.example; auth_oidc_base_url http://app.example;', qq("cookie_samesite None" needs https, and server "app.example" $only_http $in)],
    ['cookie_samesite None; redirect_uri http://app.example/cb;', 'server_name app.example;', qr/^"cookie_samesite None" needs https, and "redirect_uri" is http: browsers drop such a cookie/],
) {
    my ($provider, $server, $expected) = @$case;
    my $found = conf_error(block($provider) . server($server)) // 'accepted';
    ref $expected ? like $found, $expected, "$provider $server" : is $found, $expected, "$provider $server";
}
my $op = OIDC::Provider->new(tls => 0);
my $certificate = $op->certificate;
for my $case (
    ['cookie_samesite None;', "server_name app.example; $certificate", '127.0.0.1:%%PORT_a%% ssl'],
    ['cookie_samesite None;', "server_name app.example; listen 127.0.0.1:%%PORT_b%% ssl; $certificate"],
    ['cookie_samesite None;', 'server_name app.example; auth_oidc_base_url https://app.example;'],
    ['cookie_samesite None;', 'server_name app.example; auth_oidc_base_url $scheme://$host;'],
    ['cookie_samesite None;', 'server_name app.example; location /a { auth_oidc_base_url https://app.example; }'],
    ['cookie_samesite None; redirect_uri https://app.example/cb;', 'server_name app.example;'],
    ['cookie_samesite Strict;', 'server_name app.example;'],
) {
    my ($provider, $server, $listen) = @$case;
    is conf_error(block($provider) . server($server, $listen)), undef, "accepted: $provider " . ($listen // '') . ' ' . $server =~ s/ssl_certificate.*//r;
}
for my $case (['cookie_partitioned on', qq("cookie_partitioned on" makes the session cookie Secure)], ['response_mode form_post', qq("response_mode form_post" needs https or a loopback name)]) {
    my ($directive, $message) = @$case;
    my $warned = sub { my ($server, $listen) = @_; return [grep { /\Q$directive\E/ } conf_warnings(block("$directive;") . server($server, $listen))] };
    is_deeply $warned->('server_name app.example;'), [qq($message, and server "app.example" $only_http in http.conf:1)], "$directive on a server with http only: a warning";
    is_deeply $warned->("server_name app.example; $certificate", '127.0.0.1:%%PORT_a%% ssl'), [], "$directive with https: none";
    is_deeply $warned->('server_name app.example; auth_oidc_base_url https://app.example;'), [], "$directive where TLS ends before nginx: none";
}
is_deeply [grep { /form_post/ } conf_warnings(block('response_mode form_post;') . server('server_name app.example localhost;'))], [], 'response_mode form_post under a loopback name: none';
like conf_error(block('response_mode form_post; redirect_uri http://app.example/cb;')), qr/"response_mode form_post" needs https or a loopback name, and "redirect_uri" has neither/, 'response_mode form_post with a redirect_uri that has neither';

done_testing;

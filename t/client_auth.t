# How we prove to the provider who we are, and how the provider proves it to us: each way to authenticate a client, and each ssl_* directive.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use File::Temp qw(tempfile);
use IO::Select;
use IO::Socket::INET;
use MIME::Base64 qw(decode_base64url);
use OIDC::Test;

# Before any provider: a copy of a provider's control socket would keep it from ending.
my $tunnel = tunnel();
# A proxy that knows CONNECT, in a process of its own. Counts what it was asked in a file.
sub tunnel {
    my $listener = IO::Socket::INET->new(Listen => 20, LocalAddr => '127.0.0.1', ReuseAddr => 1) or die "listen: $!";
    my (undef, $path) = tempfile(UNLINK => 1);
    my $pid = fork // die "fork: $!";
    if (!$pid) {
        $SIG{CHLD} = 'IGNORE';
        while (my $client = $listener->accept) {
            next if fork;
            my ($host) = (readline($client) // '') =~ /^CONNECT (\S+) HTTP/;
            while (defined(my $line = readline $client)) { last if $line =~ /^\r?\n/ }
            open my $log, '>>', $path;
            print $log "$host\n";
            close $log;
            my $server = IO::Socket::INET->new(PeerAddr => $host) or POSIX::_exit(1);
            syswrite $client, "HTTP/1.1 200 OK\r\n\r\n";
            my $both = IO::Select->new($client, $server);
            while (my @ready = $both->can_read) {
                for my $from (@ready) {
                    sysread($from, my $bytes, 65_536) or POSIX::_exit(0);
                    syswrite $from == $client ? $server : $client, $bytes;
                }
            }
        }
        POSIX::_exit(0);
    }
    my $port = $listener->sockport;
    close $listener;
    return { pid => $pid, port => $port, path => $path };
}
END { local $?; kill 'KILL', $tunnel->{pid} if $tunnel && $$ != $tunnel->{pid} }

my $dir = OIDC::Provider->new->dir;
my $keys = OIDC::Provider::Keys->new($dir);
my ($key, $other_key, $ec_key) = map { $keys->private($_) } qw(rs rs2 es256);
my $public = $keys->save('client.pem', $keys->public_pem('rs'));
my $wrong_secret = 'wrong-' . 'x' x 40;
my $pair = "ssl_certificate $dir/server.pem; ssl_certificate_key $dir/server.key;";

# name, the provider's method, our directives, options of the provider
my @ways = (
    ['basic', 'client_secret_basic', 'client_auth_method client_secret_basic;'],
    ['basic_auto', 'client_secret_basic', ''],
    ['post', 'client_secret_post', 'client_auth_method client_secret_post;'],
    ['post_auto', 'client_secret_post', ''],
    ['secret_jwt', 'client_secret_jwt', 'client_auth_method client_secret_jwt;'],
    ['secret_auto', 'client_secret_jwt', ''],
    ['key_jwt', 'private_key_jwt', "client_auth_method private_key_jwt; client_key $key kid=one;"],
    ['key_auto', 'private_key_jwt', "client_key $key;"],
    ['key_ps', 'private_key_jwt', "client_auth_method private_key_jwt; client_key $key kid=two alg=PS256;"],
    ['none', 'none', 'client_auth_method none;'],
    ['none_auto', 'none', ''],
    ['tls', 'tls_client_auth', "client_auth_method tls_client_auth; $pair"],
    ['self_tls', 'self_signed_tls_client_auth', "client_auth_method self_signed_tls_client_auth; $pair"],
);
my @wrong = (
    ['bad_secret', 'client_secret_basic', "client_auth_method client_secret_basic; client_secret $wrong_secret;", qr/401|invalid_client/],
    ['bad_post', 'client_secret_post', "client_auth_method client_secret_post; client_secret $wrong_secret;", qr/invalid_client.*wrong client_secret/],
    ['bad_jwt', 'client_secret_jwt', "client_auth_method client_secret_jwt; client_secret $wrong_secret;", qr/invalid_client.*signature of the assertion/],
    ['bad_key', 'private_key_jwt', "client_auth_method private_key_jwt; client_key $other_key;", qr/invalid_client.*signature of the assertion/],
    ['no_certificate', 'tls_client_auth', 'client_auth_method none;', qr/invalid_client.*no client certificate/],
);
my %op = map { $_->[0] => OIDC::Provider->new(auth_method => $_->[1], client_public_key => $public) } @ways, @wrong;

# One provider of ours, at one of the mocks. A secret in `more` stands in for the right one.
sub provider {
    my ($op, $name, $more) = @_;
    my $uris = "redirect_uri /${name}_callback; login_uri /${name}_login; cookie_name \U$name\E; logout_uri /${name}_logout; revoke_on_logout on;";
    my $text = provider_conf($op, name => $name, provider => "$uris $more");
    $text =~ s/client_secret "(?:[^"\\]|\\.)*";// if $more =~ /client_secret wrong/;
    return $text;
}
sub location { my ($name) = @_; return "location /$name { auth_oidc $name; add_header X-Token \$oidc_access_token always; try_files /none \@in; }\n" }

# ---- who they are: TLS ----

my $main = OIDC::Provider->new;
my $list = OIDC::Provider::Keys->new($main->dir);
my ($revoked, $empty) = map { $list->revocation_list($_) } 1, 0;
my $deaf = IO::Socket::INET->new(Listen => 5, LocalAddr => '127.0.0.1') or die "listen: $!";
my %tls = (
    named      => 'ssl_name idp.app.test;',
    misnamed   => 'ssl_name idp.example.com;',
    unverified => 'ssl_verify off;',
    distrusted => '',
    listed     => "ssl_crl $revoked;",
    unlisted   => "ssl_crl $empty;",
    proxied    => "http_proxy http://127.0.0.1:$tunnel->{port};",
    unproxied  => 'http_proxy http://127.0.0.1:%%PORT_nobody%%;',
    deaf       => 'config_url https://127.0.0.1:' . $deaf->sockport . '/x; connect_timeout 300ms;',
);
my %untrusted = map { $_ => 1 } qw(unverified distrusted);
my $tls_conf = join '', map {
    my $text = provider($main, $_, $tls{$_});
    $text =~ s/ssl_trusted_certificate [^;]*;// if $untrusted{$_};
    $text;
} sort keys %tls;

my ($ngx, undef, $browser) = site(
    op => $main,
    http => $tls_conf . join('', map { provider($op{ $_->[0] }, $_->[0], $_->[2]) . $op{ $_->[0] }->tls_front } @ways, @wrong),
    server => join('', map { location($_) } (map { $_->[0] } @ways, @wrong), sort keys %tls) . 'location @in { return 200 "in\n"; }',
);

# The mock behind each provider is another one, so each has a browser that knows the way to it.
sub visitor { my ($op) = @_; return $browser->fresh(map => { map { $_->origin => $_->plain_origin } $op }) }

for my $way (@ways) {
    my ($name, $method) = @$way;
    my $op = $op{$name};
    my $who = visitor($op);
    is $who->login("/$name")->status, 200, "$name: signed in by $method";
    $who->get("/${name}_logout");
    ok OIDC::Nginx::wait_until(sub { $op->count('revoke') == 2 }), "$name: its tokens are revoked";
    is_deeply [$op->refused], [], "$name: and the provider finds nothing wrong, nor anything more than it asked for";
}
sub header { my ($name) = @_; my ($head) = split /\./, $op{$name}->last('token')->{form}{client_assertion}; return JSON::PP::decode_json(decode_base64url($head)) }
is_deeply header('key_jwt'), { alg => 'RS256', typ => 'JWT', kid => 'one' }, 'client_key: kid, and the algorithm that fits the key';
is_deeply header('key_ps'), { alg => 'PS256', typ => 'JWT', kid => 'two' }, 'client_key: alg';
is header('key_auto')->{kid}, undef, 'client_key: without kid= none is sent: the provider looks among the keys of the client';

for my $case (@wrong) {
    my ($name, undef, undef, $said) = @$case;
    my $mark = length $ngx->error_log;
    is visitor($op{$name})->login("/$name", until => 'callback')->status, 502, "$name: nobody is signed in";
    ok $ngx->wait_log(qr/\[error\].*auth_oidc: login failed.*provider "$name".*$said/, $mark), "$name: and the log says why";
}

sub refused {
    my ($name, $said, $what) = @_;
    my $mark = length $ngx->error_log;
    is visitor($main)->get("/$name")->status, 503, "$what: no login";
    ok $ngx->wait_log(qr/provider "$name": metadata and keys could not be fetched: .*$said|provider "$name": metadata could not be fetched: .*$said/, $mark), "$what: said in the log";
}
is visitor($main)->login('/named')->status, 200, 'ssl_name: the certificate is for that name';
is $main->last('token')->{headers}{'x-sni'}, 'idp.app.test', 'which the provider is asked for';
is $main->last('token')->{headers}{host}, $main->origin =~ s{https://}{}r, 'though the request is for its own';
refused('misnamed', qr/idp\.example\.com|subject/, 'ssl_name of somebody else');
refused('distrusted', qr/certificate/, 'a certificate that nobody vouches for');
is visitor($main)->login('/unverified')->status, 200, 'ssl_verify off: it does not matter';
refused('listed', qr/revoked/, 'ssl_crl: a revoked certificate');
is visitor($main)->login('/unlisted')->status, 200, 'ssl_crl: one that is not';
refused('deaf', qr/timed out: no connection to 127\.0\.0\.1 within 300 ms/, 'connect_timeout covers the TLS handshake');

is visitor($main)->login('/proxied')->status, 200, 'http_proxy: signed in through it';
my %asked = map { $_ => 1 } split /\n/, OIDC::Nginx::slurp($tunnel->{path});
is_deeply [keys %asked], [$main->origin =~ s{https://}{}r], 'and only the provider was asked for';
refused('unproxied', qr/onnect/, 'http_proxy: a proxy that is away');

# ---- RFC 8705: a certificate opens other addresses ----

{
    my $op = $op{tls};
    my $elsewhere = $op->origin =~ s/127\.0\.0\.1/localhost/r;
    my @aliases = (mtls_endpoint_aliases => { token_endpoint => "$elsewhere/token", revocation_endpoint => "$elsewhere/revoke" });
    $op{$_}->configure(metadata => {@aliases}) for qw(tls none);
    $ngx->reload;
    # Metadata stays in the zone over a reload: a provider of another name has none yet.
    $ngx->configure(http => $ngx->{http} =~ s/oidc_provider (tls|none) \{/oidc_provider new_$1 {/gr =~ s/auth_oidc (tls|none);/auth_oidc new_$1;/gr);
    $ngx->reload;
    $op->forget;
    is visitor($op)->login('/tls')->status, 200, 'mtls_endpoint_aliases: signed in';
    like $op->last('token')->{headers}{host}, qr/^localhost:/, 'at the alias';
    like $op->last('authorize')->{headers}{host}, qr/^127\.0\.0\.1:/, 'the browser is not sent there';
    is visitor($op{none})->login('/none')->status, 200, 'without a certificate';
    like $op{none}->last('token')->{headers}{host}, qr/^127\.0\.0\.1:/, 'the usual address';
}

# ---- nginx -t ----

sub conf { my ($text) = @_; return conf_error("oidc_provider p { issuer https://idp.example.com; client_id x; $text }") }
is conf("client_auth_method private_key_jwt; client_key $ec_key alg=ES256;"), undef, 'an EC key';
like conf("client_auth_method private_key_jwt; client_key $ec_key alg=RS256;"), qr/"client_key" is of no use: .*RS256/, 'an algorithm that does not fit the key';
like conf("client_key $dir/ca.pem;"), qr/"client_key" is of no use/, 'a certificate is no key';
like conf('client_auth_method tls_client_auth;'), qr/"client_auth_method" by TLS needs a certificate: write "ssl_certificate FILE;"/, 'TLS without a certificate';
like conf("ssl_certificate $dir/server.pem; ssl_certificate_key $key;"), qr/"ssl_certificate_key" is not the key of "ssl_certificate"/, 'the key of another certificate';
like conf("ssl_certificate $key; ssl_certificate_key $key;"), qr/"ssl_certificate" holds no certificate in PEM form/, 'a key is no certificate';
like conf("ssl_certificate $dir/server.pem; ssl_certificate_key $dir/server.pem;"), qr/"ssl_certificate_key" holds no private key in PEM form without a pass phrase/, 'nor the other way round';
like conf("ssl_certificate $dir/server.pem;"), qr/"ssl_certificate" needs "ssl_certificate_key FILE;" beside it/, 'a certificate without its key';

done_testing;

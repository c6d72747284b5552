# auth_oidc_set_header: a table of spellings through upstreams of every protocol that show the bytes they got: no spelling of a client's
# reaches one of them, from a stranger or from somebody signed in.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;
use OIDC::Upstream;

my @protocols = qw(http fastcgi uwsgi scgi grpc);
my %pass = (http => 'proxy_pass http://127.0.0.1:%%PORT_http%%;', map { $_ => "${_}_pass 127.0.0.1:%%PORT_$_%%;" } qw(fastcgi uwsgi scgi));
$pass{grpc} = 'grpc_pass grpc://127.0.0.1:%%PORT_grpc%%;';
my $ngx = OIDC::Nginx->new;
my %upstream = map { $_ => OIDC::Upstream->start($_ => $ngx->port($_)) } @protocols;
my $op = OIDC::Provider->new(tls => 0);
my $locations = join '', map { <<"END" } @protocols;
    location /$_/with { auth_oidc my_idp; auth_oidc_set_header X-Auth-User "own{^~\$oidc_claim_sub"; $pass{$_} }
    location /$_/maybe { auth_oidc my_idp; auth_oidc_anonymous allow; auth_oidc_set_header X-Auth-User \$oidc_claim_sub; $pass{$_} }
    location /$_/free { auth_oidc off; $pass{$_} }
END
$ngx->configure(http => provider_conf($op) . join '', map { <<"END" } [site => 'on', 'off'], [plain => 'off', 'on']);
server {
    listen 127.0.0.1:%%PORT_$_->[0]%%;
    server_name localhost;
    underscores_in_headers $_->[1];
    ignore_invalid_headers $_->[2];
    location / { auth_oidc my_idp; try_files /none =204; }
    $locations
}
END
$ngx->start;
my $browser = OIDC::Browser->new(base => 'http://localhost:' . $ngx->port('site'));
$browser->login('/');
my $cookie = 'NGX_OIDC_SESSION=' . $browser->cookies->find('NGX_OIDC_SESSION')->{value};

# A value that HPACK does not shorten.
my $evil = '{^~{^~evil';

my %seen;
my @cases = (
    sub { $_[0] }, sub { lc $_[0] }, sub { uc $_[0] }, sub { lcfirst $_[0] }, sub { $_[0] =~ s/A/a/r }, sub { $_[0] =~ s/U/u/r }, sub { $_[0] =~ s/X/x/r =~ s/A/a/r },
    sub { $_[0] =~ s/X/x/r =~ s/U/u/r }, sub { $_[0] =~ s/A/a/r =~ s/U/u/r }, sub { $_[0] =~ s/auth/AUTH/ir }, sub { $_[0] =~ s/user/USER/ir }, sub { $_[0] =~ s/auth/aUTH/ir },
    sub { $_[0] =~ s/user/uSER/ir }, sub { $_[0] =~ s/uth/uTh/r }, sub { $_[0] =~ s/ser/sEr/r }, sub { join '', map { rand() < .5 ? lc : uc } split //, $_[0] },
    sub { uc($_[0]) =~ s/X/x/r }, sub { uc($_[0]) =~ s/R$/r/r }, sub { lc($_[0]) =~ s/r$/R/r },
);
my @spellings;
for my $first ('-', '_', '.') {
    for my $second ('-', '_', '.') {
        push @spellings, grep { !$seen{$_}++ } map { $_->("X${first}Auth${second}User") } @cases;
    }
}
cmp_ok scalar @spellings, '>=', 150, scalar(@spellings) . ' spellings';
# Beside the name's own spellings: how a line may be written, and what stands around it.
my @lines = (
    (map { "$_: $evil" } @spellings), "X-Auth-User:$evil", "X-Auth-User:\t$evil", "X-Auth-User: $evil ", "X-Auth-User : $evil", " X-Auth-User: $evil", "X-Auth-User: a\r\n $evil", "X-Auth-User: a\r\n\t$evil",
    "X-Auth-User: a\r\nX-Auth-User: $evil", "X_Auth_User: a\r\nX.Auth.User: $evil", "X-Auth-User:\r\nX-Auth-User: $evil", "X-Auth-User: \r\nx_auth_user: $evil\r\nX-AUTH-USER: $evil",
    "Connection: X-Auth-User\r\nX-Auth-User: $evil", "Connection: close, x_auth_user\r\nx_auth_user: $evil", (map { "A$_: a\r\nX-Auth-User: $evil\r\nB$_: b" } 1 .. 3),
    join("\r\n", (map { "X-Filler-$_: a" } 1 .. 30), "x.auth-user: $evil", (map { "X-More-$_: a" } 1 .. 30), "X_auth.User: $evil"),
);

sub send_raw {
    my ($port, $path, $lines) = @_;
    my $client = OIDC::Browser->new(base => 'http://localhost:' . $ngx->port($port));
    return $client->raw("GET $path HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nCookie: $cookie\r\n$lines\r\n\r\n");
}

for my $protocol (@protocols) {
    my $own = send_raw('site', "/$protocol/with", "X-Other: $evil");
    is $own->status, 200, "$protocol: answers";
    like $own->body, qr/\Q$evil\E/, "$protocol: another header reaches it";
    like $own->body, qr/own\{\^~/, "$protocol: ours does too";
    unlike $own->body, qr/NGX_OIDC_SESSION/, "$protocol: our cookie does not";
    for my $place (qw(with maybe free)) {
        for my $port ($place eq 'with' ? qw(site plain) : 'site') {
            my @reached = grep { send_raw($port, "/$protocol/$place", $_)->body =~ /evil/ } @lines;
            is_deeply \@reached, [], "$protocol, $place, $port: none of " . scalar(@lines) . ' reaches it';
        }
    }
}

done_testing;

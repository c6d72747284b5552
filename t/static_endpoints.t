# Endpoints and keys that the configuration names: nothing is discovered, and what is named wins over the metadata.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use JSON::PP ();
use OIDC::Test;

my $op = OIDC::Provider->new(tls => 0);
my $origin = $op->plain_origin;
my $metadata = JSON::PP::decode_json(browser_get("/.well-known/openid-configuration"));
my $dir = $op->dir;
{
    open my $file, '>', "$dir/keys.json" or die "keys.json: $!";
    print $file browser_get($metadata->{jwks_uri} =~ s{^\w+://[^/]+}{}r);
    close $file;
    open $file, '>', "$dir/none.json" or die "none.json: $!";
    print $file '{"keys":[]}';
}

# What the provider itself answers at a path.
sub browser_get {
    my ($path) = @_;
    return curl("http://127.0.0.1:@{[$op->port]}$path")->body;
}

my $endpoints = join ' ', map { "$_ $metadata->{$_};" } qw(authorization_endpoint token_endpoint userinfo_endpoint end_session_endpoint revocation_endpoint);
my ($ngx, undef, $browser) = site(
    op => $op,
    provider => "$endpoints jwks_uri $metadata->{jwks_uri}; userinfo on; logout_uri /logout; post_logout_uri /bye; "
        . 'logout_args "federated=1&who=$oidc_claim_sub&state=x&client_id=y&empty="; cookie_name MAIN;',
    http => provider_conf($op, name => 'file', provider => "$endpoints jwks_file $dir/keys.json; redirect_uri /file_callback; cookie_name FILE;")
        . provider_conf($op, name => 'part', provider => "end_session_endpoint $origin/elsewhere; redirect_uri /part_callback; logout_uri /part_logout; cookie_name PART;"),
    server => 'location /file { auth_oidc file; try_files /none @in; } location /part { auth_oidc part; try_files /none @in; } '
        . 'location @in { auth_oidc off; return 200 "in\n"; } location = /bye { auth_oidc off; return 200 "bye\n"; }',
);

$op->forget;
is $browser->login('/app')->status, 200, 'signed in with static endpoints';
is $op->count('discovery'), 0, 'and nothing was discovered';
is $op->count('jwks'), 1, 'keys come from jwks_uri';
is $op->count('userinfo'), 1, 'UserInfo from its endpoint';
my $out = $browser->get('/logout');
like $out->location, qr/^\Q$metadata->{end_session_endpoint}\E\?/, 'signed out at the configured endpoint';
is $out->query->{federated}, 1, 'logout_args are sent';
is $out->query->{who}, 'alice', 'their variables are evaluated before the session goes';
is $out->query->{client_id}, $op->client_id, 'client_id is not for them to change';
isnt $out->query->{state}, 'x', 'nor is state';
ok !exists $out->query->{empty}, 'empty ones are left out';

$op->forget;
is $browser->fresh->login('/file')->status, 200, 'signed in with keys from a file';
is_deeply [map { $op->count($_) } qw(discovery jwks)], [0, 0], 'neither metadata nor keys were fetched';
$op->with(key => 'rs2', sub { isnt $browser->fresh->login('/file')->status, 200, 'a key that the file does not have' });
is $op->count('jwks'), 0, 'is not looked for';

my $who = $browser->fresh;
is $who->login('/part')->status, 200, 'one endpoint alone: discovery goes on';
like $who->get('/part_logout')->location, qr{^\Q$origin/elsewhere\E\?}, 'and the configured one wins';

sub refused { my ($text) = @_; return conf_error(provider_conf($op, provider => $text)) }
like refused('token_endpoint http://idp.example.com/token;'), qr/"token_endpoint" must begin with https/, 'plain http';
like refused('jwks_uri nonsense;'), qr/invalid URL "nonsense" in "jwks_uri"/, 'no URL';
like refused("jwks_file $dir/none.json;"), qr/"jwks_file" holds no key set/, 'a file without keys';
like refused("jwks_file $dir/absent.json;"), qr/jwks_file/, 'a file that is not there';
like refused("jwks_file $dir/keys.json; jwks_uri https://idp.example.com/keys;"), qr/"jwks_uri" and "jwks_file" exclude each other/, 'both';
is refused('introspection_endpoint https://idp.example.com/introspect;'), undef, 'introspection_endpoint';

done_testing;

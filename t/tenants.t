# Entra ID's issuers for more than one organisation: whose people come in says issuer_tenants, and nobody else's do.

use strict;
use warnings;

use FindBin;
use lib "$FindBin::Bin/lib";

use OIDC::Test;

my $ours = '11111111-2222-3333-4444-555555555555';
my $others = '99999999-2222-3333-4444-555555555555';
my $port = OIDC::Nginx::free_port();
my $origin = "http://127.0.0.1:$port";
my $op = OIDC::Provider->new(tls => 0, port => $port, base_path => "/common/v2.0");
my $pattern = "$origin/{tenantid}/v2.0";
my $well_known = '/.well-known/openid-configuration';

# A site of its own for each way to say it. Returns its browser and its nginx.
sub site_with {
    my ($conf) = @_;
    my $nginx = OIDC::Nginx->new(http => OIDC::Test::app_conf() . <<"END");
        $conf
        server { listen 127.0.0.1:%%PORT_site%%; server_name localhost; auth_oidc default;
            location / { add_header X-Sub \$oidc_claim_sub; proxy_pass http://127.0.0.1:%%PORT_app%%; } }
END
    $nginx->write_file('secrets.toml', <<"END", 0600);
[auth]
redirect_uri = "http://localhost:%%PORT_site%%/oauth2callback"
cookie_secret = "0123456789abcdef0123456789abcdef"
client_id = "@{[$op->client_id]}"
client_secret = "@{[$op->client_secret]}"
server_metadata_url = "$op->{config}{issuer}$well_known"
END
    $nginx->start;
    return (OIDC::Test::browser($nginx, $op), $nginx);
}
my $client = 'client_id ' . $op->client_id . '; client_secret ' . quoted($op->client_secret) . ';';
my $url = "config_url $op->{config}{issuer}$well_known;";

sub tid { my ($tid, %more) = @_; return { iss => $pattern =~ s/\{tenantid\}/$tid/r, tid => $tid, %more } }

$op->with(metadata => { issuer => $pattern }, sub {
    for my $case (
        ['a file', "oidc_secrets %%DIR%%/secrets.toml { issuer_tenants $ours; }"],
        ['a block beside a file', "oidc_secrets %%DIR%%/secrets.toml; oidc_provider default { issuer_tenants other.example \U$ours\E; }"],
        ['the pattern', qq(oidc_provider default { issuer "$pattern"; $url $client issuer_tenants $ours; })],
        ['the common address', "oidc_provider default { issuer $origin/common/v2.0; $url $client issuer_tenants $ours; }"],
    ) {
        my ($name, $conf) = @$case;
        my ($browser, $nginx) = site_with($conf);
        $op->with(claims => tid($ours), sub { is $browser->fresh->login('/app')->status, 200, "$name: one of ours" });
        $op->with(claims => tid($others), sub { is $browser->fresh->login('/app')->status, 403, "$name: nobody of another organisation" });
        like $nginx->error_log, qr/rule id_token_tenant: expected one of issuer_tenants, found "$others"/, "$name: and the log says whose";
        $op->with(claims => tid($ours, tid => $others), sub { isnt $browser->fresh->login('/app')->status, 200, "$name: an issuer of ours with another tid" });
        $op->with(claims => tid($others, tid => $ours), sub { isnt $browser->fresh->login('/app')->status, 200, "$name: another issuer with our tid" });
        $op->with(claims => { iss => $pattern, tid => $ours }, sub { isnt $browser->fresh->login('/app')->status, 200, "$name: the pattern itself is no issuer" });
        $op->with(claims => { iss => $pattern =~ s/\{tenantid\}/$ours/r }, sub { isnt $browser->fresh->login('/app')->status, 200, "$name: no tid" });
        $op->with(claims => tid('{tenantid}'), sub { isnt $browser->fresh->login('/app')->status, 200, "$name: a tid that is the placeholder" });
        $nginx->stop;
    }

    my ($browser, $nginx) = site_with('oidc_secrets %%DIR%%/secrets.toml { issuer_tenants any; }');
    $op->with(claims => tid($others), sub { is $browser->fresh->login('/app')->status, 200, 'any: everybody' });
    $op->with(claims => tid('a/b'), sub { isnt $browser->fresh->login('/app')->status, 200, 'any: what cannot be a tenant' });
    $nginx->stop;

    ($browser, $nginx) = site_with('oidc_secrets %%DIR%%/secrets.toml;');
    is $browser->fresh->get('/app')->status, 500, 'nothing said about tenants: no login begins';
    like $nginx->error_log, qr/rule issuer_tenants: .*"oidc_provider default \{ issuer_tenants ID \.\.\.; \}", or "issuer_tenants any;"/, 'and the log has the line to write';
    $nginx->stop;
});

subtest 'an issuer of one organisation' => sub {
    my ($browser, $nginx) = site_with("oidc_secrets %%DIR%%/secrets.toml { issuer_tenants $ours; }");
    $op->with(claims => { tid => $ours }, sub { is $browser->fresh->login('/app')->status, 200, 'issuer_tenants counts there too: one of ours' });
    $op->with(claims => { tid => $others }, sub { is $browser->fresh->login('/app')->status, 403, 'and nobody else' });
    $nginx->stop;
};

subtest 'metadata of another place' => sub {
    $op->with(metadata => { issuer => "$origin/{tenantid}/v1.0" }, sub {
        my ($browser, $nginx) = site_with("oidc_secrets %%DIR%%/secrets.toml { issuer_tenants $ours; }");
        is $browser->fresh->get('/app')->status, 503, 'a pattern that does not fit the address is not taken';
        $nginx->stop;
    });
};

done_testing;

#!/usr/bin/perl
# Answers and forms that are posted, and frames, under a browser's own rules for cookies: two origins that are two sites.

use strict;
use warnings;

use Test::More;
use OIDC::Chromium;

for my $scheme (qw(http https)) {
    my $site = OIDC::Chromium->new($scheme, server => 'auth_oidc_preserve_post on;');
    $site->visit('post');
    $site->stop;

    $site = OIDC::Chromium->new($scheme, oidc => 'response_mode form_post;');
    $site->visit('form_post');
    $site->stop;
}

my $site = OIDC::Chromium->new('https', oidc => 'frontchannel_logout_uri /frontchannel;');
$site->visit('frontchannel');
$site->stop;

done_testing;

#!/usr/bin/perl
# Every page of ours in Chromium; pictures of them are left in build/screenshots.

use strict;
use warnings;

use Test::More;
use OIDC::Chromium;

for my $scheme ('https') {
    my $site = OIDC::Chromium->new($scheme);
    $site->visit('pages');
    $site->stop;
}

done_testing;
